r"""The hostile corpus: requests as data, the answer that each must get, and how they are sent byte by byte.

A case in `*.yaml` is a request and its answer. The defaults are those of a valid `POST /messages` in JSON:

| Key | Meaning |
|---|---|
| `id` | its name, unique in its file |
| `to` | method and target, and the version unless it is HTTP/1.1 |
| `with` | header lines; they replace the default ones of the same name |
| `without` | names of default headers that are left out |
| `set`, `drop` | fields of the JSON message that are changed or left out |
| `body`, `lines` | the body itself; in `lines` every line ends in CRLF |
| `raw` | the whole request, every line ending in CRLF |
| `end` | whether the client stops sending after the request |
| `before` | cases of the same form that are sent first, each answered 201 |
| `answer` | status, `field=code` for each field error in order, and `!word` for `error`; a list for several answers |
| `times` | how often the answer comes; the default is once |
| `headers` | headers of the answer; null for one that must not be there |
| `stored` | messages that the case stores; the default is 1 for a 201 and 0 for everything else |

`malformed` as an answer means a 400 in our form, or a connection that closes without an answer. In texts `{name}`
stands for a value of the environment (`{key}`, `{inbox}`, ...), `{1000*ab}` for a repetition and `\xNN` for a byte.
"""
