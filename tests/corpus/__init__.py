r"""The hostile corpus: requests as data, what each must be answered, and how they are sent byte by byte.

A case in `*.yaml` is a request and its answer. What a case does not say is that of a good `POST /messages` in JSON:

| Key | Says |
|---|---|
| `id` | its name, unique in its file |
| `to` | method and target, and a version where it is not HTTP/1.1 |
| `with` | header lines; they replace the usual ones of the same name |
| `without` | names of usual headers that are left out |
| `set`, `drop` | fields of the JSON message that are changed or left out |
| `body`, `lines` | the body itself; in `lines` every line ends in CRLF |
| `raw` | the whole request, every line ending in CRLF |
| `end` | the client stops sending after that |
| `before` | cases of the same form that are sent first, each answered 201 |
| `answer` | status, `field=code` for each fault in its order and `!word` for `error`; a list for several answers |
| `times` | how often that is answered, where it is not once |
| `headers` | headers of the answer; null for one that must not be there |
| `stored` | messages that the case stores, where that is not 1 for a 201 and 0 for everything else |

`malformed` as an answer means a 400 in our form, or a connection that closes without an answer. In texts `{name}`
stands for something of the stage (`{key}`, `{inbox}`, ...), `{1000*ab}` for a repetition and `\xNN` for a byte.
"""
