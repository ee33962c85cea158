"""The configuration of the mail servers, as their manuals write it. `{...}` is filled in by `mail_servers.py`."""

POSTFIX_QUEUES = "active bounce corrupt defer deferred flush hold incoming private saved trace"

POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = /var/lib/postfix
maillog_file = /var/log/postfix.log
myhostname = mail.postroom.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_helo_required = yes
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
alias_maps =
alias_database =
virtual_mailbox_domains = regexp:/etc/postfix/domains
virtual_mailbox_maps = regexp:/etc/postfix/mailboxes
virtual_mailbox_base = {server.mails_in}
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
virtual_minimum_uid = 100
smtpd_tls_cert_file = {server.certificate.path}
smtpd_tls_key_file = {server.certificate.key}
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_session_cache_database =
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = /etc/postfix/sasl
smtpd_sasl_local_domain = postroom.example
smtpd_sasl_authenticated_header = yes
smtpd_tls_auth_only = yes
"""

POSTFIX_MASTER = """\
127.0.0.1:{ports[mx]} inet n - n - - smtpd
127.0.0.1:{ports[submission]} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{ports[smtps]} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
proxymap  unix  - - n - - proxymap
virtual   unix  - n n - - virtual
error     unix  - - n - - error
retry     unix  - - n - - error
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

POSTFIX_DOMAINS = "/./ yes\n"
# All share a mailbox but `invented`, who has none.
POSTFIX_MAILBOXES = "if !/^invented@/\n/./ all/\nendif\n"
POSTFIX_SASL = (
    "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {folder}/sasldb2\nmech_list: PLAIN LOGIN\n"
)

EXIM = """\
primary_hostname = mail.postroom.example
spool_directory = {folder}/spool
log_file_path = {folder}/logs/%slog
pid_file_path =
daemon_smtp_ports = {ports[mx]} : {ports[submission]} : {ports[smtps]}
tls_on_connect_ports = {ports[smtps]}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {folder}/certificate.pem
tls_privatekey = {folder}/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = recipients
acl_smtp_data = accept
never_users =
begin acl
recipients:
  accept condition = ${{if eq{{$received_port}}{{{ports[mx]}}}}}
  accept authenticated = *
  deny message = authentication required
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {folder}/mails/all
  create_directory
  user = Debian-exim
  return_path_add
  envelope_to_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{word}}}}}}}}}
  server_set_id = $auth2
"""

OPENSMTPD = """\
pki mail cert "{folder}/certificate.pem"
pki mail key "{folder}/key.pem"
listen on 127.0.0.1 port {port} tls pki mail
table recipients {{ "@" = "peer" }}
action "store" maildir "{folder}/mails" virtual <recipients>
match from any for any action "store"
"""
