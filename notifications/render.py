"""Temporary."""

from notifications.domain import Digest, Notice, Rendered

ZALO_LIMIT = 1900


def render(digest: Digest) -> Rendered:
    """Return texts."""
    lines = [
        f"{i.section.value}: nhiệm vụ {i.task_number} #{i.assignment_id} {i.state_label} {i.note}"
        for i in digest.items
    ]
    text = "\n".join([digest.recipient_name, *lines, digest.url])
    return Rendered(f"{len(lines)} việc", text, f"<p>{text}</p>", text[:1900], {})


def render_notice(notice: Notice) -> Rendered:
    """Return texts."""
    text = f"{notice.gateway} {notice.state} {notice.reason}"
    return Rendered(text, text, text, text, {})
