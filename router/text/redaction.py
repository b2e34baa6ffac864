"""Takes secrets out of text from outside: reasons, commands, log lines, and what remotes answer.

A secret is recognised by its own form (`ghp_…`, a private key, a JSON web token), by the name before it (`password=`,
`X-Api-Key:`, `DATADOG_…=`), or because the router knows it. docs/redaction.md lists the forms, and what goes unnoticed.

Three tables hold what is known; `str.find` looks for their words. Patterns are texts, compiled when a word is found, so
a text without such words costs microseconds and a cold start compiles none. Every repetition in a pattern is bounded,
and what was taken out is not examined again, so the time grows linearly with the length of the text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

REDACTED = "[redacted]"
SHORTEST_KNOWN = 8
"""Characters of the shortest known secret that is looked for: shorter ones are words such as `#ops`."""
_SHORTEST_PART = 9  # characters of the shortest part of one; `services` of a URL has eight

_QUOTED = 4096  # characters to look for a closing quotation mark
_DECIDES = 200  # characters of a value that decide whether it is secret
_NAME = 48  # characters of a name before and after its word

# --- secrets by their form --------------------------------------------------------------------------------------------

_ANY = r"[\w.~+/=-]"
_HEX = "[0-9a-fA-F]"
_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

_IS_UUID = re.compile(_UUID)
_END_OF_KEY = re.compile(r"PRIVATE KEY(?: BLOCK)?-{1,5}")
_BASE64_LINE = re.compile(r"[^\n]{0,60}?[A-Za-z0-9+/=]{4,128}\s{0,3}")

# How a token begins, in its own case, and what must follow; all of the token is taken out. What must follow is compiled
# for the first text with the beginning, because texts with any of these are rare.
_TOKENS: Mapping[str, str] = {
    **dict.fromkeys(("AKIA", "ASIA", "ABIA", "ACCA", "AIDA", "AROA", "A3T"), "[A-Z0-9]{16,17}"),
    "ABSK": r"[\w+/=]{40,400}",  # Bedrock
    "bedrock-api-key-": r"[\w+/=-]{10,400}",
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"), r"\w{10,255}"),
    **dict.fromkeys(
        (
            "glpat-",
            "gldt-",
            "glft-",
            "glrt-",
            "glcbt-",
            "glffct-",
            "glimt-",
            "glagent-",
            "gloas-",
            "glptt-",
            "glsoat-",
            "GR1348941",
        ),
        r"[\w.-]{15,1100}",
    ),
    "xox": r"[a-z](?:\.xox[a-z])?-[\w-]{8,400}",  # Slack
    "xapp-": r"[\w-]{8,200}",
    **dict.fromkeys(("sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_", "whsec_"), r"\w{8,255}"),
    "sk-": r"(?=[\w-]{0,40}[0-9A-Z])[\w-]{16,255}",  # OpenAI, Anthropic, and others that took the form over
    "AIza": r"[\w-]{30,45}",  # Google
    "ya29.": r"[\w.-]{10,400}",
    "GOCSPX-": r"[\w-]{20,40}",
    "SG.": r"[\w.=-]{20,90}",  # SendGrid
    "npm_": r"[A-Za-z0-9]{30,60}",
    "pypi-": r"[\w-]{16,1100}",
    "hf_": r"[A-Za-z0-9]{20,60}",
    "api_org_": r"[A-Za-z0-9]{20,60}",
    "dop_v1_": _HEX + "{20,80}",
    "doo_v1_": _HEX + "{20,80}",
    "dor_v1_": _HEX + "{20,80}",
    "dp.pt.": r"\w{20,60}",
    "dp.st.": r"[\w.]{20,80}",
    "dt0c01.": r"[\w.]{40,120}",
    "dt0s01.": r"[\w.]{40,120}",
    "duffel_": r"(?:test|live)_[\w=-]{20,60}",
    "EZAK": r"[A-Za-z0-9]{40,60}",
    "EZTK": r"[A-Za-z0-9]{40,60}",
    "EAA": r"(?=[A-Za-z]{0,60}[0-9_-])[\w-]{20,400}",  # Facebook, Square
    "sq0": r"(?:atp|csp|idp)-[\w-]{20,60}",
    "FLWSECK": r"(?:_TEST)?-[\w-]{10,60}",
    "FLWPUBK": r"(?:_TEST)?-[\w-]{10,60}",
    "fo1_": r"[\w-]{30,60}",
    "fm1a_": r"[\w+/=-]{40,800}",
    "fm1r_": r"[\w+/=-]{40,800}",
    "fm2_": r"[\w+/=-]{40,800}",
    "fio-u-": r"[\w=-]{40,80}",
    "gsk_": r"[A-Za-z0-9]{40,60}",  # Groq
    "glc_": r"[\w+/=-]{30,420}",
    "glsa_": r"\w{30,60}",
    "pat.": r"[\w-]{20,24}\.\w{20,26}\.\w{16,24}",
    "sat.": r"[\w-]{20,24}\.\w{20,26}\.\w{16,24}",
    "pat": r"[A-Za-z0-9]{14}\.[0-9a-f]{64}",  # Airtable
    "HRKU-": r"[\w-]{20,80}",
    "ico-": r"[A-Za-z0-9]{32}",
    "s-s4t2": r"(?:ud|af)-[0-9a-fA-F]{40,80}",
    "lin_api_": r"[A-Za-z0-9]{20,60}",
    "lin_oauth_": r"[A-Za-z0-9]{20,80}",
    "ntn_": r"[A-Za-z0-9]{30,60}",
    "secret_": r"(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{30,60}",
    "API-": "[A-Z0-9]{24,40}",  # Octopus Deploy
    "sha256~": r"[\w-]{30,60}",  # OpenShift
    "pplx-": r"[A-Za-z0-9]{30,80}",
    "pscale_": r"(?:tkn|oauth|pw)_[\w=.-]{20,80}",
    "PMAK-": r"[0-9a-fA-F]{20,30}-[0-9a-fA-F]{30,40}",
    "pnu_": r"[A-Za-z0-9]{30,40}",
    "pul-": _HEX + "{40}",
    "rdme_": r"[a-z0-9]{40,90}",
    "rubygems_": _HEX + "{40,60}",
    "CLOJARS_": r"[A-Za-z0-9]{40,70}",
    "tk-us-": r"[\w-]{40,60}",
    "xkeysib-": r"[\w-]{40,100}",
    "xsmtpsib-": r"[\w-]{40,100}",
    "sntrys_": r"[\w+/=-]{40,500}",
    "sntryu_": _HEX + "{40,80}",
    "sm_aat_": r"[A-Za-z0-9]{12,40}",
    "sm_pat_": r"[A-Za-z0-9]{12,40}",
    "sm_sat_": r"[A-Za-z0-9]{12,40}",
    "shippo_": r"(?:live|test)_[0-9a-fA-F]{30,60}",
    "shpat_": _HEX + "{20,50}",
    "shpca_": _HEX + "{20,50}",
    "shppa_": _HEX + "{20,50}",
    "shpss_": _HEX + "{20,50}",
    "sgp_": r"[0-9a-fA-Fl][\w]{30,80}",
    **dict.fromkeys(("SK", "AC"), r"(?=[A-Za-z]{0,31}[0-9])[A-Za-z0-9]{32}(?![A-Za-z0-9])"),  # Twilio
    **dict.fromkeys(
        ("sc_", "ext_", "scauth_", "authress_"),
        r"[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[\w+/=-]{30,120}",
    ),
    "tfp_": r"[\w.=-]{30,80}",
    "hvs.": r"[\w-]{20,200}",  # Vault
    "hvb.": r"[\w-]{20,400}",
    "hvr.": r"[\w-]{20,200}",
    "s.": r"(?=[A-Za-z]{0,24}[0-9])[A-Za-z0-9]{24}(?![\w.])",
    "A3-": r"[A-Z0-9]{6}-[A-Z0-9-]{20,50}",  # 1Password
    "ops_eyJ": r"[\w+/=-]{40,1200}",
    "p8e-": r"[A-Za-z0-9]{32}",
    "AGE-SECRET-KEY-1": "[A-Z0-9]{10,80}",
    "LTAI": r"(?=[A-Za-z]{0,20}[0-9])[A-Za-z0-9]{16,24}",  # Alibaba
    "AKC": r"(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9]{10,90}",  # Artifactory
    "AP": r"[0-9A-F](?=[A-Z0-9]{0,40}[a-z])(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{8,90}",
    "cmVmd": r"[A-Za-z0-9]{50,70}",
    "ATATT3": r"[\w=-]{40,250}",  # Atlassian
    "ATCTT3": r"[\w=-]{40,250}",
    "ATBB": r"[A-Za-z0-9]{24,40}",
    "4b1d": r"[A-Za-z0-9]{38}",
    "v1.0-": r"[0-9a-f]{24}-[0-9a-f]{40,160}",
    "dapi": r"[0-9a-f]{32}(?:-[0-9])?",
    "dnkey-": r"[\w=-]{20,100}",
    "key-": r"(?=[a-z]{0,32}[0-9])[0-9a-f]{32}",
    "pubkey-": r"[0-9a-f]{32}",
    "NRAK-": r"[A-Z0-9a-z]{20,40}",
    "NRII-": r"[\w-]{20,40}",
    "NRJS-": r"[0-9a-f]{16,24}",
    "NRRA-": r"[0-9a-f]{30,50}",
    "EAAAE": r"[\w-]{20,80}",
    "amzn1.": r"(?:oa2-cs|application-oa2-client)\.v?[\w.]{16,100}",
    "AQVN": r"[\w-]{30,40}",  # Yandex
    "t1.": r"[\w=-]{10,300}\.[\w=-]{60,90}",
    "y0_": r"[\w-]{50,70}",
    "sl.": r"(?=[A-Za-z]{0,40}[0-9_-])[\w=-]{60,200}",  # Dropbox
    "live_": r"(?=[A-Za-z_-]{0,40}[0-9])[\w=-]{35,60}",
    "test_": r"(?=[A-Za-z_-]{0,40}[0-9])[0-9a-f_pub]{35,60}",
    "access-": r"(?:sandbox|development|production)-" + _UUID,
    "pk.": r"eyJ[\w.-]{20,200}",
    "sk.": r"eyJ[\w.-]{20,200}",
    "django-insecure-": r"[^\s\"']{8,80}",
    "eyJ": r"(?:[\w\\/=-]{4,4000}\.[\w\\/=-]{2,4000}(?:\.[\w\\/=-]{0,4000}){0,3}|[\w+/-]{50,4000}={0,3})",
    "ey": r"[A-Za-z0-9]{17,4000}\.ey[\w\\/-]{17,4000}\.(?:[\w\\/-]{0,4000}={0,2})",
    "ZXlK": r"[\w+/=\\-]{30,4000}",
    "PuTTY-User-Key-File-": r"(?s:.{1,8000})",
    "_gitlab_session=": r"[0-9a-zA-Z]{16,64}",
    "https://hooks.slack.com/": r"[^\s\"'<>\\]{1,400}",
    "hooks.slack.com/": r"[^\s\"'<>\\]{1,400}",
    "https://discord.com/api/webhooks/": r"[^\s\"'<>\\]{1,400}",
    "https://discordapp.com/api/webhooks/": r"[^\s\"'<>\\]{1,400}",
    ".webhook.office.com/": r"[^\s\"'<>\\]{1,600}",
    ".atlasv1.": r"[\w=-]{20,90}",
}

_COMPARED = (  # "secret" == password
    r"[\"'`]([^\n\"'`]{1,200})[\"'`][ \t]{0,20}[!=]{2,3}[ \t]{0,20}"
    r"(?=[\w.$-]{0,48}(?i:passw|pwd|secret|(?:db|database|key)_?pass|(?:api|auth|service|account|db|database|client|private|priv)_?key))"
)

# Tokens that are known by their shape alone, each with a text that every one of them holds.
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (part, re.compile(pattern, re.ASCII))
    for part, pattern in (
        ("-us", r"(?<![0-9a-zA-Z])[0-9a-z]{32}-us[0-9]{1,2}(?![0-9a-z])"),  # Mailchimp
        ("Q~", r"(?<![\w.~-])[\w.~]{3}[0-9]Q~[\w.~-]{31,34}"),  # Azure AD
        ("_mmk", r"(?<![A-Za-z0-9])[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),  # MaxMind
        (".atlasv1.", r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\."),  # Terraform Cloud
        (":A", r"(?:(?<![0-9A-Za-z])|(?<=/bot))[0-9]{5,16}:A[\w-]{34}(?![\w-])"),  # Telegram
        (".", r"(?<![\w.-])[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,38}(?![\w.-])"),  # Discord
        ("|", r"(?<![0-9])[0-9]{15,16}\|[\w-]{27,40}(?![\w-])"),  # Facebook
        ("%", r"(?<![0-9])[0-9]{15,16}%[\w-]{27,40}(?![\w-])"),
        (":", r"(?<![0-9A-Za-z])[0-9]{8,10}:[\w-]{35}(?![\w-])"),
        ("softlayer", r"softlayer\.com/soap/v3(?:\.1)?/([A-Za-z0-9]{64})"),
        ("curl", r"(?:[ \t\n]-u|[ \t\n]--user)[ =\t]{0,8}[\"']?([^\s:\"']{0,100}:[^\s\"']{1,200})"),
        ("aws", r"(?i:aws)[^\n\"']{0,40}[\"']([A-Za-z0-9/+]{40})[\"']"),
        ("AWS", r"(?i:aws)[^\n\"']{0,40}[\"']([A-Za-z0-9/+]{40})[\"']"),
        (
            "%40",
            r"(?i)%3A%2F%2F(?:[\w.~-]|%(?!3A|40)[0-9A-F]{2}){0,100}%3A((?:[^\s%&\"'<>]|%(?!40)[0-9A-F]{2}){1,200})%40",
        ),
        ("=", _COMPARED),
        ("!", _COMPARED),
        ("BEGIN", r"BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?"),
    )
)

# --- secrets by the name before them ----------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class _Kind(NamedTuple):
    """What the name of a value says about it.

    Attributes:
        least: how many characters a secret has at least.
        plain: a value of letters alone is a secret, too, as in `password: hunter`.
        random: a value is a secret only if it looks random.
    """

    least: int
    plain: bool = False
    random: bool = False


_PASSWORD = _Kind(1, plain=True)
_SECRET = _Kind(2)
_VENDOR = _Kind(12)
_MAYBE = _Kind(10, random=True)
_HEADER = _Kind(2)

# Words of names, in lower case, and what they say of the value. The longer ones may also end a word: `dbpassword`.
_WORDS: Mapping[str, _Kind] = {
    **dict.fromkeys(("password", "passwd", "passphrase", "passcode", "passwort", "pwd", "contraseña"), _PASSWORD),
    **dict.fromkeys(("contrasena", "otp"), _PASSWORD),
    **dict.fromkeys(("secret", "token", "credential", "credentials", "creds", "signature", "salt", "pepper"), _SECRET),
    **dict.fromkeys(("key", "auth", "access", "api", "session", "sessionid", "sid", "code"), _MAYBE),
    **dict.fromkeys(("pass", "pw"), _Kind(6)),
    "sig": _Kind(10),
}
_ENDINGS = tuple(
    sorted((word for word in _WORDS if word not in {"code", "access", "auth", "api"}), key=len, reverse=True)
)
# What is looked for first; every name of a secret holds one of these.
_HINTS = (
    "pass",
    "pwd",
    "contrase",
    "otp",
    "secret",
    "token",
    "cred",
    "signature",
    "sig",
    "salt",
    "pepper",
    "key",
    "auth",
    "access",
    "api",
    "session",
    "sid",
    "code",
    "pw",
    "cookie",
)
# Names in languages that do not put spaces between words.
_PHRASES: Mapping[str, _Kind] = {
    **dict.fromkeys(("パスワード", "パスフレーズ", "暗証番号", "密码", "密碼", "비밀번호"), _PASSWORD),
    **dict.fromkeys(
        (
            "シークレット",
            "トークン",
            "秘密鍵",
            "暗号鍵",
            "apiキー",
            "アクセスキー",
            "シークレットキー",
            "認証情報",
            "密钥",
            "令牌",
        ),
        _SECRET,
    ),
}
_HEADERS = frozenset({"authorization", "cookie"})  # their value is the rest of the line
_KNOWN_SCHEMES = _words("basic bearer digest negotiate ntlm hoba mutual token apikey aws4-hmac-sha256 geniekey splunk")
# Whose key is secret, and whose is not. Other keys are secret if they look random.
_KEY_OF = _words(
    "api access secret private priv auth authorization encryption decryption signing client service account db "
    "database master shared ssh hmac crypto cipher subscription license licence webhook deploy jwt aes rsa app "
    "consumer integration ingest ingestion admin root server storage functions instrumentation"
)
_NO_KEY = _words(
    "primary foreign public pub partition sort hash range cache row object bucket index idx map group record message "
    "routing translation natural schema sequence hot unique composite lookup idempotency dedup monkey turkey"
)
# What a name ends with if its value is about a secret, but none.
_ABOUT = _words(
    "id ids name names type types url uri path file files dir length len size count version arn ttl expiry expires "
    "expiration hint policy field fields label format prefix alias ring store board pair word algorithm alg bytes "
    "index limit usage endpoint provider manager class method mode status state error errors exception vault rotation "
    "age issuer audience scope secretsmanager scopes required enabled disabled valid invalid max min timeout retries at"
)
_NOT_PASS = _words("compass bypass trespass surpass encompass overpass underpass")
# Services whose secrets have no form of their own: `ADAFRUIT_ID: 7f3c…`.
_VENDORS = _words(
    "adafruit adobe airtable algolia alibaba artifactory asana atlassian auth0 beamer bintray bitbucket bittrex "
    "braintree cloudant cloudflare codecov cohere coinbase confluence confluent contentful contribsys datadog discord "
    "droneci dropbox etsy facebook fastly finicity finnhub flickr freshbooks gitter gocardless heroku hubspot intercom "
    "jfrog jira kraken kucoin launchdarkly linear linkedin linked_in linked-in lob looker mailchimp mailgun mapbox "
    "mattermost meraki messagebird message_bird message-bird netlify newrelic new_relic new-relic new-york-times "
    "newyorktimes nytimes okta opsgenie plaid privateai private_ai private-ai rapidapi sendbird sentry slack snyk "
    "softlayer sonar squarespace sumo telegr travis twilio twitch twitter typeform xray yandex zendesk"
)
_SHORT_VENDOR = 5  # characters; a shorter one is part of other words: lob in global
# Values that are no secrets.
_ORDINARY = _words(
    "null none nil undefined true false yes no y n on off ok required missing invalid expired empty incorrect wrong "
    "denied failed failure unknown not is was are must cannot could should string str bytes int bool object the a an "
    "for from in of to and or with at by as if has have this that it unable error unauthorized unset set default "
    "redacted hidden masked changed rotated provided present absent disabled enabled revoked"
)
_REFERENCES = ("arn:", "ssm:", "secretsmanager:", "$", "{", "%", "<", "*", "[redacted", "projects/", "vault:")

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-$ñ")
_NAME_WORD = re.compile(r"[A-Z]?[a-zñ]{1,48}|[A-Z]{1,48}(?![a-z])|[0-9]{1,48}")
# Between a name and its value. `bare`: only white space, as after `--password`.
_OPERATOR = re.compile(
    r"(?:\[[0-9]{0,12}\])?"
    r"(?P<closed>[\\\"'`\])}]{0,5})"
    r"(?:[ \t]{0,20}(?::?[ \t]{0,3}[Ss]tr(?:ing)?[ \t]{0,3}=|:{1,3}=|=>|->|=!|[!=]={1,2}|[?.+|]{0,2}=|\|\|:?"
    r"|(?P<colon>::?(?!//)|\uff1a)|\uff1d|(?P<call>(?:\.\w{1,12})?\((?=[\"'\\])))"
    r"|(?P<element>>)\s{0,40}"
    r"|(?P<pair>[ \t,]{0,20}(?:\n[ \t]{0,40})?[\\\"']{0,4}value[\\\"']{0,4}[ \t]{0,3}[:=])"
    r"|(?:は|が)?[「『](?=[!-~]{0,60}[0-9][!-~]{0,200}[」』])|は(?=[!-~]{8})(?=[!-~]{0,40}[0-9])"
    r"|(?P<comma>[ \t]{0,3},[ \t]{0,3})"
    r"|(?P<bare>[ \t]{1,20}))"
    r"(?:[ \t]{0,3}[|>][+-]?[ \t]{0,4}\n[ \t]{1,40})?"
    r"(?P<open>[ \t=]{0,20}(?:[@bru]{0,2}[\\\"'`][\\\"'`= \t]{0,7})?)"
)
_QUOTATION_MARK = re.compile(r"\\{0,7}[\"'`]")
_GAP = re.compile(r"[ \t][\w.-]{1,16}(?:[ \t][\w.-]{1,8})?(?=[\"'`\\ \t]{0,4}[:=])", re.ASCII)
_PLAIN_VALUE = re.compile(r"""[^\s"'`,;&<>(){}\[\]|\\、。」』\uff09】]{1,200}""")
_REPOSITORY = 400  # characters of a registry's host and of a repository's name, of which Amazon ECR allows 256
_REGISTRY = re.compile(
    r"(?:^|[\s\"'`(=])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,9}(?::[0-9]{1,5})?/(?:[a-z0-9._-]{1,255}/){0,9}$", re.ASCII
)
_TAG = re.compile(r":\w[\w.-]{0,127}(?=[\s\"'`):,;@]|$)", re.ASCII)
# "web(authorization:1.2) (STOPPED->RUNNING)": the agent's list of the containers that depend on each other.
_TAG_OF_DEPENDENCY = re.compile(r":\w[\w.-]{0,127}\) \([A-Z_]{1,24}->[A-Z_]{1,24}\)")
_ASKING = re.compile(
    r"(?i)(?:[\w$]{1,40}\.)?(?:get|fetch|load|read|find|put|create|describe|delete|update|list|retrieve|is|has|with)"
)
_CONTAINED = re.compile(
    r"(?P<password>passw|passphrase|pwd|contrase|(?:db|database|key)[_.-]?pass)|secret|credential"
    r"|(?:api|auth|service|account|db|database|client|private|priv|access|signing|encryption)[_.-]?key"
)
_REST = re.compile(r"""[^\s"'`,;&<>(){}\[\]|\\、。」』\uff09】]{1,4000}""")
_REST_OF_LINE = re.compile(r"""[^\n"'`]{1,4000}""")
_NEXT_WORD = re.compile(r"[,.;:]?[ \t][A-Za-z]")
_NUMBERS = re.compile(r"[0-9:.,-]{1,200}")
_DIGIT = re.compile("[0-9=]")
_LETTER_OR_DIGIT = re.compile("[A-Za-z0-9]")
_PROSE = re.compile(r"(?:[A-Za-z]{1,20}|[A-Z][A-Za-z]{1,60}(?:Exception|Error|Failure|Fault))[.,:;!?]?")
_HARMLESS = re.compile(
    r"0x[0-9a-fA-F]{1,32}|"
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].{0,40})?|/[\w.-]{1,60}/.{0,100}|\w{1,10}://.{0,190}"
    r"|(?:[\w-]{1,63}\.){1,8}[a-z]{2,12}(?::[0-9]{1,5})?(?:/.{0,90})?|v?[0-9]{1,5}(?:\.[0-9]{1,5}){1,3}",
    re.ASCII,
)


_USER_INFO = re.compile(
    r"(?P<user>[^\s:/?#@\"'`<>\\]{0,200})"
    r"(?::(?![0-9]{1,5}(?:[/?#\s\"']|$))(?P<password>[^\s\"'`<>\\]{1,500}))?@",
    re.ASCII,
)
_HEX_NAME = re.compile(r"(?=.{0,199}[0-9])[0-9a-f]{8,200}")
_SCHEME = re.compile(
    r"(?:(?i:bearer)[ \t:=]{1,4}(?![A-Za-z_]{1,40}=[^=])(?=[\w.~+/=-]{10})"
    r"(?!(?i:auth|token|scheme|realm|error|type|header|missing|invalid|require))"
    r"|(?i:negotiate)[ \t]{1,4}(?=[A-Za-z+/]{0,60}[0-9=])"
    r"|(?i:basic)[ \t]{1,4}(?=[a-z+/]{0,60}[0-9=A-Z]))[\"'\\]{0,3}([\w.~+/=-]{8,4000})",
    re.ASCII,
)


# --- the search -------------------------------------------------------------------------------------------------------


class _Span(NamedTuple):
    start: int
    end: int


def redacted(text: str) -> str:
    """The text, with everything that looks like a secret replaced by `[redacted]`."""
    low = _lower(text)
    spans = sorted(
        (
            *_private_keys(text),
            *_tokens(text),
            *_shapes(text),
            *_in_urls(text),
            *_schemes(text, low),
            *_named(text, low),
        )
    )
    if not spans:
        return text
    parts, position = [], 0
    for span in spans:
        if span.end > position:
            if span.start >= position:
                parts += [text[position : span.start], REDACTED]
            position = span.end
    return "".join([*parts, text[position:]])


def _lower(text: str) -> str:
    """The text in lower case, of the same length: some letters have two in the other case."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(char.lower() if char.isascii() else char for char in text)


# --- by form ----------------------------------------------------------------------------------------------------------


def _private_keys(text: str) -> Iterator[_Span]:
    """Keys from BEGIN to END, or to the end of the text; if BEGIN was cut off, the lines of base64 before END."""
    position = 0
    while (place := text.find("PRIVATE KEY", position)) >= 0:
        position, closes = place + 1, text.find("-----", place, place + 30)
        start = text.rfind("-----BEGIN", max(0, place - 120), place)
        if start >= 0:
            end = _END_OF_KEY.search(text, closes + 5) if closes >= 0 else None
            position = end.end() if end else len(text)
            yield _Span(start, position)
        elif (start := text.rfind("-----END", max(0, place - 120), place)) >= 0:
            yield _Span(_base64_before(text, start), closes + 5 if closes >= 0 else len(text))


def _base64_before(text: str, end: int) -> int:
    """Where the lines of base64 before a position begin; one of them may be short."""
    start = end
    for line in reversed(text[max(0, end - 8192) : end].replace("\\n", "\n ").splitlines(keepends=True)):
        if not _BASE64_LINE.fullmatch(line) or " " in line.strip():
            break
        start -= len(line)
    return start


def _tokens(text: str) -> Iterator[_Span]:
    for begin, rest in _TOKENS.items():
        place = text.find(begin)
        while place >= 0:
            after = place + len(begin)
            match = re.compile(rest, re.ASCII).match(text, after) if _begins_word(text, place) else None
            if match:
                after = match.end()
                yield _Span(place, after)
            place = text.find(begin, after)


def _begins_word(text: str, place: int) -> bool:
    """Whether no ASCII letter or digit precedes; the n of a `\\n` in JSON does not count."""
    before = text[place - 1] if place and text[place].isalnum() else " "
    return not (before.isascii() and before.isalnum()) or text[max(0, place - 2) : place] in {"\\n", "\\r", "\\t"}


def _shapes(text: str) -> Iterator[_Span]:
    for part, pattern in _SHAPES:
        if part in text:
            for match in pattern.finditer(text):
                yield _Span(*match.span(match.lastindex or 0))


def _in_urls(text: str) -> Iterator[_Span]:
    """The password of `scheme://user:password@host`, which may hold `/` and `@`; a token in the place of the user."""
    place = text.find("://")
    while place >= 0:
        place += 3
        match = _USER_INFO.match(text, place)
        if match and (match["password"] or _looks_random(match["user"]) or _HEX_NAME.fullmatch(match["user"])):
            named = match["password"] and not _HEX_NAME.fullmatch(match["user"])
            span = match.span("password") if named else (place, match.end() - 1)
            yield _Span(*span)
            place = span[1]
        place = text.find("://", place)


def _schemes(text: str, low: str) -> Iterator[_Span]:
    """`Bearer X` anywhere; the headers with credentials up to the end of the line or of their quotation marks."""
    if any(scheme in low for scheme in ("bearer", "basic", "negotiate")):
        for match in _SCHEME.finditer(text):
            yield _Span(*match.span(1))


# --- by name ----------------------------------------------------------------------------------------------------------


def _named(text: str, low: str) -> Iterator[_Span]:
    """The values whose names say that they are secret."""
    done = 0
    for start, end, kind in _names(text, low):
        if end > done and (span := _value(text, start, end, kind)) and not _is_repository(text, start, end):
            yield span
            done = span.end


def _is_repository(text: str, start: int, end: int) -> bool:
    """Whether the name and what follows are an image's repository and tag: an image may be called `authorization`."""
    if _TAG_OF_DEPENDENCY.match(text, end):
        return True
    before = text[max(0, start - _REPOSITORY) : start]
    return bool(_REGISTRY.search(before) and _TAG.match(text, end))


def _names(text: str, low: str) -> list[tuple[int, int, _Kind]]:
    """Start and end of each name that says that its value is secret, by position, with what it says."""
    names: dict[int, tuple[int, _Kind]] = {}
    for word in _HINTS:
        place = low.find(word)
        while place >= 0:
            start, end = _name_around(text, place, place + len(word))
            if end not in names and (kind := _kind(text[start:end])):
                names[end] = (start, kind)
            place = low.find(word, max(end, place + len(word)))
    for vendor in _VENDORS:
        place = low.find(vendor)
        while place >= 0:
            start, end = _name_around(text, place, place + len(vendor))
            if len(vendor) >= _SHORT_VENDOR or not text[place - 1 : place].isalpha():
                names[end] = names[end] if end in names and not names[end][1].random else (start, _VENDOR)
            place = low.find(vendor, max(end, place + len(vendor)))
    for phrase, kind in _PHRASES.items():
        place = low.find(phrase)
        while place >= 0:
            end = place + len(phrase)
            names[end] = (place, kind)
            place = low.find(phrase, end)
    return sorted((start, end, kind) for end, (start, kind) in names.items())


def _name_around(text: str, start: int, end: int) -> tuple[int, int]:
    first, last = max(0, start - _NAME), min(len(text), end + _NAME)
    while start > first and text[start - 1] in _NAME_CHARACTERS:
        start -= 1
    while end < last and text[end] in _NAME_CHARACTERS:
        end += 1
    if text[start : start + 2] == "--" or text[max(0, start - 1)] != "\\":
        return start, end
    return start + 1, end  # the n of `\\n`


def _kind(name: str) -> _Kind | None:
    """What a name says about its value; None if it does not say that the value is secret."""
    words = [word.lower() for word in _NAME_WORD.findall(name)]
    named = [word for word in words if not word.isdigit()]
    if named[-2:] == ["pass", "word"]:  # PassWord
        return _PASSWORD
    if not named or named[-1] in _ABOUT:
        return None
    if (contained := _CONTAINED.search(name.lower())) and "public" not in named:
        return _PASSWORD if contained["password"] else _SECRET
    kinds = [kind for before, word in zip(["", *named], named, strict=False) if (kind := _kind_of(word, before, name))]
    return min(kinds, key=lambda kind: (kind.random, kind.least), default=None)


def _kind_of(word: str, before: str, name: str) -> _Kind | None:  # noqa: C901, PLR0911 - the exceptions, in order
    if word in _HEADERS:
        return _HEADER
    if word == "key" and before in _KEY_OF:
        return _SECRET
    if word == "key" and before in _NO_KEY:
        return None
    if word == "key" and before and name.isupper():
        return _Kind(8)
    if word == "pass" and before:
        return _PASSWORD
    if name == "Key":
        return _Kind(12)  # of a connection string
    if word == "sig" and not name.lower().endswith("sig"):
        return None
    if word in _WORDS:
        return _WORDS[word]
    if word in _NOT_PASS:
        return None
    longer = next((known for known in _ENDINGS if word.endswith(known)), "")
    if longer == "key":
        owner = word.removesuffix("key")
        return _SECRET if owner in _KEY_OF else None if owner in _NO_KEY else _MAYBE
    return _WORDS.get(longer)


class _Context(NamedTuple):
    """What surrounds a value: the operator before it, the character before the name, and the text after it."""

    operator: re.Match[str]
    before: str
    after: str
    quoted: bool


def _value(text: str, start: int, end: int, kind: _Kind) -> _Span | None:
    """The secret that follows the name, if one does."""
    operator = _OPERATOR.match(text, end)
    if operator is None or operator["bare"]:
        gap = _GAP.match(text, end)
        if gap:
            operator, kind = _OPERATOR.match(text, gap.end()), kind._replace(random=True, least=10)
    if operator is None:
        return None
    begin = operator.end()
    marks = _QUOTATION_MARK.findall(operator["open"])[-1:]
    if kind is _HEADER:
        return None if operator["bare"] else _header(text, begin, marks)
    close = _closing(text, begin, marks)
    plain = _PLAIN_VALUE.match(text, begin)
    value = text[begin:close] if close > begin else plain[0] if plain else ""
    value = value[:_DECIDES]
    after = begin + len(value)
    context = _Context(operator, text[max(0, start - 1) : start], text[after : after + 400], bool(marks))
    if not value or not _is_secret(value, kind, text[start:end], context):
        return None
    if close > begin:
        return _Span(begin, close)
    rest = _REST.match(text, begin)
    return _Span(begin, rest.end() if rest else begin + len(value))


def _closing(text: str, begin: int, opened: list[str]) -> int:
    """Where the value within quotation marks ends; -1 if it has none, or they are not closed on its line."""
    if not opened:
        return -1
    marks = opened[0]
    place = text.find(marks, begin, begin + _QUOTED)
    while place > 0 and text[place - 1] == "\\":  # an escaped mark is part of the value
        place = text.find(marks, place + 1, begin + _QUOTED)
    line = text.find("\n", begin, begin + _QUOTED)
    return place if place >= 0 and not 0 <= line < place else -1


def _header(text: str, begin: int, opened: list[str]) -> _Span | None:
    """The rest of the line, or of what the quotation marks hold: schemes, parameters and cookies have many forms."""
    end = _closing(text, begin, opened)
    if end < 0:
        rest = _REST_OF_LINE.match(text, begin)
        end = rest.end() if rest else begin
    words = text[begin : min(end, begin + _DECIDES)].split()[:2]
    first = words[0].lower().strip(" .,;:") if words else ""
    if first in {"", *_ORDINARY} or first.startswith(_REFERENCES):
        return None
    is_credential = len(words) == 1 or first in _KNOWN_SCHEMES or any(map(_is_token, words))
    return _Span(begin, end) if is_credential else None


def _is_token(word: str) -> bool:
    """Whether a word is no word of a sentence: it has a digit or an `=`, or is too long."""
    return bool(_DIGIT.search(word)) or (len(word) > 20 and not word.endswith(":"))  # noqa: PLR2004


def _is_secret(value: str, kind: _Kind, name: str, context: _Context) -> bool:  # noqa: PLR0911 - one for each rule
    """Whether the value after a name is a secret, by how sure the name and the operator make it."""
    if _is_ordinary(value, kind, name, context):
        return False
    operator = context.operator
    if operator["bare"] and not name.startswith("-"):
        ended = context.quoted and context.after[:2] in {'";', "';", "`;"}
        return (ended and not kind.random) or _looks_random(value, 32 if kind.random else 20)
    if kind is _VENDOR:
        return any(map(str.isdigit, value)) and not _is_harmless(value) and not re.search(r"\s", value)
    if not kind.random and _IS_UUID.fullmatch(value):
        return True
    doubtful = (operator["comma"] and not name.startswith("-")) or (operator["element"] and "</" not in context.after)
    if kind.random or doubtful:
        return _looks_random(value, max(kind.least, 10)) and not _is_harmless(value)
    if operator["colon"] and not context.quoted and not operator["closed"]:
        return _is_secret_in_prose(value, kind, context)
    return kind.plain or (not (value.isdigit() and len(value) < 6) and not _is_harmless(value))  # noqa: PLR2004


def _is_secret_in_prose(value: str, kind: _Kind, context: _Context) -> bool:
    """Whether the value of `name: value` without quotation marks is one, and no sentence."""
    if kind.plain:
        return not (_is_prose(value) and _NEXT_WORD.match(context.after))
    return not _is_prose(value) and not value.endswith(":") and not _NUMBERS.fullmatch(value)


def _is_ordinary(value: str, kind: _Kind, name: str, context: _Context) -> bool:
    """Whether it is not a secret, whatever its name says: a word, a reference, a part of an ARN, a printed object."""
    operator, word = context.operator, value.lower().strip(" .,;:!?*")
    attached = operator["colon"] and not operator["open"] and not operator["closed"]
    return bool(
        not _LETTER_OR_DIGIT.search(value)
        or len(value) < kind.least
        or word in _ORDINARY
        or value.lower().startswith(_REFERENCES)
        or (name == "Key" and operator["colon"])
        or (name in {"PWD", "OLDPWD"} and value.startswith("/"))
        or (context.after[:1] in {"{", "("} and not context.quoted)
        or (operator["call"] and _ASKING.match(name))
        or (attached and (kind.random or context.before == ":"))
    )


def _is_prose(value: str) -> bool:
    return bool(_PROSE.fullmatch(value))


def _is_harmless(value: str) -> bool:
    """Times, paths, URLs, host names and versions."""
    return bool(_HARMLESS.fullmatch(value))


def _looks_random(value: str, least: int = 16) -> bool:
    """Whether a word changes between digits, capitals and small letters more often than names and numbers do."""
    if len(value) < least or _IS_UUID.fullmatch(value) or re.search(r"\s", value):
        return False
    kinds = ["d" if char.isdigit() else "u" if char.isupper() else "l" if char.isalpha() else "" for char in value]
    changes = sum(bool(one and other and one != other) for one, other in pairwise(kinds))
    return changes >= max(3, len(value) * (0.15 if "d" in kinds else 0.42))


# --- values of JSON ---------------------------------------------------------------------------------------------------


def redacted_value(value: Any) -> Any:
    """A copy of a value of JSON, with each text redacted; in a command, what follows an option such as `--password`."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_value(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        asked = [False, *map(_asks_for_secret, value)]
        return [
            REDACTED if secret and isinstance(element, str) else redacted_value(element)
            for secret, element in zip(asked, value, strict=False)
        ]
    return value


def _asks_for_secret(argument: Any) -> bool:
    if not isinstance(argument, str) or not argument.startswith("-") or "=" in argument:
        return False
    kind = _kind(argument)
    return kind is not None and not kind.random


# --- known secrets ----------------------------------------------------------------------------------------------------


def known_parts(*secrets: str) -> frozenset[str]:
    """What may be seen of secrets: each itself, the parts of a URL, and other spellings of them; not the short ones.

    An environment variable that is not UTF-8 has half a surrogate pair for each such byte.
    """
    parts: set[str] = set()
    for secret in secrets:
        parts |= {secret, *_url_parts(secret)}
    spellings = {*parts, *map(unquote, parts), *(quote(part, safe="", errors="replace") for part in parts)}
    spellings |= {part.replace("/", "\\/") for part in spellings}
    spellings |= {part.encode(errors="replace").hex() for part in parts}
    whole = {secret for secret in secrets if len(secret) >= SHORTEST_KNOWN}
    return frozenset(whole | {part for part in spellings if len(part) >= _SHORTEST_PART})


def _url_parts(secret: str) -> Iterator[str]:
    """The path, the query, and their parts; nothing if the text is not a URL."""
    try:
        url = urlsplit(secret)
    except ValueError:
        return
    if not url.netloc:
        return
    yield from (url.path, url.path.strip("/"), url.query, url.username or "", url.password or "")
    yield from url.path.split("/")
    yield from url.query.replace("=", "&").split("&")
    yield from (value for _, value in parse_qsl(url.query))


def without_known(text: str, parts: Iterable[str], mark: str = REDACTED) -> str:
    """The text with the mark in place of each part, whatever its case."""
    for part in sorted(parts, key=len, reverse=True):
        low, wanted, position, kept = _lower(text), _lower(part), 0, []
        while (place := low.find(wanted, position)) >= 0:
            kept += [text[position:place], mark]
            position = place + len(wanted)
        if kept:
            text = "".join([*kept, text[position:]])
    return text
