"""What people read in a bundle: one HTML page without scripts, and how to verify everything by hand.

Names in it may be the attacker's (tags, user names, file names): everything is escaped, nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Final

from forensics.chain import ATTEMPT, EVIDENCE, JOURNAL
from forensics.signing import ECDSA, ED25519, RSA_PSS, PublicKey
from irrunner.cli.output import plain

if TYPE_CHECKING:
    from forensics.bundle import Parts

LONGEST_CELL: Final = 600
SHORT: Final = 36
"""Characters that are never broken over lines: a UUID."""
STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:100rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #8884}
th{font-weight:600;font-size:.85rem}code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}
.drill{background:#fc03;padding:.5rem .8rem;border-left:4px solid #c90}.dim{opacity:.7}
.scroll{overflow-x:auto}.short{white-space:nowrap}h1,dd{overflow-wrap:anywhere}
@media (max-width:75rem){
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}.short{white-space:normal}
thead{display:none}table,tbody,tr,td{display:block}tr{padding:.6rem 0;border-bottom:1px solid #8884}
td{border:0;padding:.1rem 0;overflow-wrap:anywhere}td:empty{display:none}
td[data-label]::before{content:attr(data-label);display:block;font-weight:600;font-size:.8rem;opacity:.7}
}
@media print{body{max-width:none;font-size:11px}tr{break-inside:avoid}}
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
VIEW: Final = (
    '<p class="dim">Evidence bundle. This page is a view of <code>ledger.jsonl</code>; how to verify both '
    "is in <code>README.md</code>.</p>"
)
KINDS: Final = {EVIDENCE: "evidence", ATTEMPT: "attempt that failed", JOURNAL: "journal of a run"}

OPENSSL: Final[Mapping[str, str]] = {
    ED25519: "openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in manifest.json "
    "-sigfile manifest.sig",
    ECDSA: "openssl dgst -sha256 -verify public-key.pem -signature manifest.sig manifest.json",
    RSA_PSS: "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1 "
    "-verify public-key.pem -signature manifest.sig manifest.json",
}
CHAIN: Final = """\
python3 -c "
import hashlib, json
head = '0' * 64
for line in open('ledger.jsonl', encoding='utf-8'):
    if line.startswith('{\\"record\\":'):
        entry = json.loads(line)
        assert hashlib.sha256(line[10:-78].encode()).hexdigest() == entry['sha256'], entry['record']['seq']
        assert entry['record']['prev_sha256'] == head, entry['record']['seq']
        head = entry['sha256']
print('ledger intact, head', head)
" """.rstrip()
FINGERPRINT: Final = "openssl pkey -pubin -in public-key.pem -outform DER | sha256sum"

README: Final = """\
# Evidence of incident {incident}

Exported by irrunner {version} for run {run}. Start with `index.html`.

| file | what it is |
| --- | --- |
| `ledger.jsonl` | the custody ledger: hash-chained records and signed seals, one JSON document a line |
| `manifest.json`, `manifest.sig` | every file with its SHA-256, heads of ledger and journals; signed |
| `public-key.pem` | the key that sealed and signed ({algorithm}) |
| `journals/` | full journals of the runs that the ledger refers to, hash-chained |
| `playbooks/` | the playbook that each run was pinned to |
| `timeline.jsonl`, `timeline.csv` | attacker, responder and AWS in one order, for Timesketch and tables |
| `vault/` | files of the vault, where there are any |
| `collected/` | files that actions stored in the evidence bucket, by bucket and key |
| `SHA256SUMS` | for `sha256sum` |

## Verify

With irrunner, offline, without configuration:

```sh
irrunner evidence verify . --key {fingerprint}
```

The fingerprint must come to you by **another way** than this bundle (a call, a ticket, the first report):
whoever can change the bundle can also sign it with a key of their own.

By hand, in this folder:

```sh
# 1. The key is the expected one: compare with the fingerprint that you were given.
{fingerprint_command}
# 2. The manifest was signed by it.
{signature_command}
# 3. The files are those of the manifest, through SHA256SUMS, which the manifest lists.
sha256sum --check --strict SHA256SUMS
python3 -c "import hashlib, json; said = json.load(open('manifest.json'))['files']['SHA256SUMS']['sha256']; \
assert hashlib.sha256(open('SHA256SUMS', 'rb').read()).hexdigest() == said; print('SHA256SUMS is listed')"
# 4. The ledger's chain holds; its head stands in manifest.json under ledger.head_sha256.
{chain_command}
```

## What it proves

That nothing in it was changed since the holder of the key sealed it, and in which order it was recorded. It
does not prove the clock of the machine, nor anything against the holder of the key. A snapshot is named by
its id: its content is attested by AWS, not by a hash in here.
"""


def read_me(manifest: Mapping[str, Any], key: PublicKey) -> str:
    """Return the bundle's README."""
    return README.format(
        incident=manifest["incident_id"], run=manifest["run_id"], version=manifest["tool"]["version"],
        algorithm=key.algorithm, fingerprint=key.fingerprint, fingerprint_command=FINGERPRINT,
        signature_command=OPENSSL[key.algorithm], chain_command=CHAIN,
    )  # fmt: skip


def shown(value: object) -> str:
    """Return text for HTML that is what it says: escaped, without control or bidirectional characters."""
    return escape(plain(value, LONGEST_CELL))


def code(value: object) -> str:
    """Return text in a fixed font; nothing for nothing."""
    if value in ("", None):
        return ""
    short = ' class="short"' if len(str(value)) <= SHORT else ""
    return f"<code{short}>{shown(value)}</code>"


def index_page(parts: Parts, manifest: Mapping[str, Any]) -> str:
    """Return the page that opens a bundle."""
    row = parts.row
    drill = '<p class="drill">This was a drill: a sample or archived finding.</p>' if row.drill else ""
    facts = {
        "Incident": code(row.incident_id),
        "Run": f"{code(row.run_id)} {shown(row.status)}",
        "Playbook": f"{shown(row.playbook_id)} {shown(row.playbook_version)}",
        "Account, Region": f"{code(row.account_id)} {shown(row.region)}",
        "Began, ended": f"{shown(row.created_at)} &ndash; {shown(row.ended_at or 'not yet')}",
        "Ledger": f"{manifest['ledger']['records']} records, head {code(manifest['ledger']['head_sha256'])}",
        "Sealed": shown(manifest["ledger"]["sealed_at"]),
        "Key": f"{shown(manifest['algorithm'])} {code(manifest['key_sha256'])}",
    }
    described = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    body = (
        f"<h1>{shown(row.title)}</h1>\n{VIEW}\n{drill}<dl>{described}</dl>\n"
        f"<h2>Custody</h2>\n{_custody(parts)}\n<h2>Files</h2>\n{_vault(parts, manifest)}"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Evidence of {shown(row.incident_id)}</title><style>{STYLE}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    heads = "".join(f"<th>{name}</th>" for name in names)
    lines = "\n".join(
        "<tr>"
        + "".join(
            f'<td data-label="{name}">{cell}</td>' if cell else "<td></td>"
            for name, cell in zip(names, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>{lines}</tbody></table></div>'


def _custody(parts: Parts) -> str:
    head = ("#", "when (UTC)", "what", "item", "where it came from and is", "who, by what", "AWS requests")
    return _table(head, (_row(record) for record in parts.chain.records))


def _row(record: Mapping[str, Any]) -> tuple[str, ...]:
    body, kind = record["body"], str(record["kind"])
    start = (str(record["seq"]), f'<span class="short">{shown(record["at"])}</span>')
    if kind == JOURNAL:
        ended = f"{body['records']} records, head {code(body['head_sha256'])}"
        return (*start, KINDS[kind], ended, "", _who(body), "")
    if kind not in KINDS:
        key = body.get("fingerprint") or (body.get("statement") or {}).get("new_key_sha256", "")
        return (*start, "key of this ledger" if kind == "key" else "new key", code(key), "", "", "")
    item = body["item"]
    sha256 = f"<br>SHA-256 {code(item['sha256'])}" if item["sha256"] else ""
    note = f"<br>{shown(body['note'])}" if body.get("note") else ""
    what = f"{KINDS[kind]}: {shown(item['kind'])}"
    return (*start, what, f"{code(item['name'])}{sha256}{note}", _lineage(body), _who(body), _requests(body))


def _lineage(body: Mapping[str, Any]) -> str:
    steps = [
        f"{shown(each['role'])} {code(each['resource'])}"
        for each in body.get("lineage", ())
        if each["resource"]
    ]
    place = body["location"]
    at = " ".join(filter(None, (code(place["account_id"]), shown(place["region"]))))
    return f'{"<br>&rarr; ".join(steps)}<br><span class="dim">in</span> {at}'


def _who(body: Mapping[str, Any]) -> str:
    who, tool = body["who"], body["tool"]
    step = f"<br>{shown(body['action'])}, step {code(body['step'])}" if body.get("step") else ""
    return (
        f"{code(who['arn'])} {shown(who['os_user'])}<br>{shown(tool['name'])} {shown(tool['version'])}{step}"
    )


def _requests(body: Mapping[str, Any]) -> str:
    calls = [call for call in body.get("aws", ()) if call.get("request_id") or call.get("error")]
    told = (
        (shown(call["operation"]), code(call.get("request_id")), shown(call.get("error", "")))
        for call in calls
    )
    return "<br>".join(" ".join(filter(None, parts)) for parts in told)


def _vault(parts: Parts, manifest: Mapping[str, Any]) -> str:
    rows = [
        (code(item.name), f"{item.size_bytes:,}", code(item.sha256), shown(item.location))
        for item in parts.items
    ]
    rows += [
        (code(each.named.name), f"{each.size_bytes:,}", code(each.named.sha256), shown(each.named.location))
        for each in parts.collected.files
    ]
    left = [
        f"<li>{code(each['name'])}: {shown(each['why'])} {code(each.get('sha256', ''))}</li>"
        for each in manifest["references"]
    ]
    outside = f"<p>Not in this bundle:</p><ul>{''.join(left)}</ul>" if left else ""
    if not rows:
        return f"<p>No files were collected.</p>{outside}"
    return _table(("file", "bytes", "SHA-256", "kept at"), rows) + outside
