"""The plain pages on which a person looks at what the stand-ins received."""

import html
from collections.abc import Iterable


def page(title: str, body: str) -> bytes:
    """Return a page; `body` is HTML."""
    return (
        f'<!doctype html><html lang="vi"><head><meta charset="utf-8"><title>{html.escape(title)}'
        "</title><style>body{font-family:sans-serif;max-width:60rem;margin:2rem auto}"
        "section{border-top:1px solid #ccc;padding:.5rem 0}h2{font-size:1rem}"
        "pre{white-space:pre-wrap}td{padding:.2rem .6rem;vertical-align:top}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body or '<p>Chưa có tin nào.</p>'}</body></html>"
    ).encode()


def paragraphs(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (heading, text) escaped, the text with its line breaks."""
    return [(html.escape(head), f"<pre>{html.escape(text)}</pre>") for head, text in rows]
