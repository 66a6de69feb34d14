"""What the engine refuses, as types that carry what a caller needs.

Every message exists in Vietnamese and English and says what happened and what to do.
The engine knows no status codes: `api.errors` holds the one table from type to HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Sentence(NamedTuple):
    """One message for a person, in both languages."""

    vi: str
    en: str

    def into(self, language: str) -> str:
        """Return the text in `language` ("en"; anything else is Vietnamese)."""
        return self.en if language == "en" else self.vi


def listed(sentences: Sequence[Sentence]) -> Sentence:
    """Join several sentences into one, in the order given."""
    return Sentence("; ".join(s.vi for s in sentences), "; ".join(s.en for s in sentences))


class EngineError(Exception):
    """Anything the engine refuses; `sentence` is what a person is shown."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence.en)
        self.sentence = sentence


class NotFound(EngineError):
    """The thing asked for does not exist, or the actor may not know that it does."""

    def __init__(self, thing: Sentence, key: object) -> None:
        super().__init__(
            Sentence(
                f"Không tìm thấy {thing.vi} {key}. Kiểm tra lại mã rồi thử lại.",
                f"No {thing.en} {key} exists. Check the identifier and try again.",
            )
        )
        self.key = key


class AssignmentNotFound(NotFound):
    """No assignment has this identifier."""

    def __init__(self, assignment_id: int) -> None:
        super().__init__(Sentence("phần việc", "assignment"), assignment_id)
        self.assignment_id = assignment_id


class PlanNotFound(NotFound):
    """No plan has this number."""

    def __init__(self, number: str) -> None:
        super().__init__(Sentence("kế hoạch", "plan"), number)


class PersonNotFound(NotFound):
    """No active person has this login."""

    def __init__(self, login: str) -> None:
        super().__init__(Sentence("người dùng", "person"), login)


class UnknownTransition(EngineError):
    """The definition has no transition of this name."""

    def __init__(self, transition: str, known: Sequence[str]) -> None:
        super().__init__(
            Sentence(
                f"Không có thao tác “{transition}”. Các thao tác có thể dùng: {', '.join(known)}.",
                f'There is no transition "{transition}". Known transitions: {", ".join(known)}.',
            )
        )
        self.transition = transition


class WrongState(EngineError):
    """The transition does not start from the state the assignment is in."""

    def __init__(
        self, transition: Sentence, state: Sentence, state_name: str, version: int
    ) -> None:
        super().__init__(
            Sentence(
                f"Không thể “{transition.vi}” khi phần việc ở trạng thái “{state.vi}”. "
                "Mở lại trang để xem việc cần làm tiếp theo.",
                f'"{transition.en}" is not possible while the assignment is "{state.en}". '
                "Open it again to see the next action.",
            )
        )
        self.state = state_name
        self.version = version


class StaleVersion(EngineError):
    """The actor decided on a version that is no longer the current one."""

    def __init__(
        self, seen: int, version: int, state: str, changes: Sequence[Mapping[str, object]] = ()
    ) -> None:
        super().__init__(
            Sentence(
                f"Phần việc đã thay đổi (bạn xem phiên bản {seen}, nay là {version}). "
                "Xem lại thay đổi rồi quyết định.",
                f"The assignment changed meanwhile (you saw version {seen}, it is now {version}). "
                "Look at what changed, then decide again.",
            )
        )
        self.seen = seen
        self.version = version
        self.state = state
        self.changes = list(changes)


class NotAllowed(EngineError):
    """The actor has no right to this, now; `reasons` say why."""

    def __init__(self, reasons: Sequence[Sentence]) -> None:
        super().__init__(listed(reasons))
        self.reasons = list(reasons)


class TransitionRefused(EngineError):
    """A rule of the definition speaks against the transition; `reasons` are all of them."""

    def __init__(self, reasons: Sequence[Sentence]) -> None:
        super().__init__(listed(reasons))
        self.reasons = list(reasons)


class InvalidData(EngineError):
    """What was entered cannot be accepted; `problems` maps a field (or path) to its reason."""

    def __init__(self, problems: Mapping[str, Sentence]) -> None:
        super().__init__(
            listed([Sentence(f"{k}: {s.vi}", f"{k}: {s.en}") for k, s in problems.items()])
        )
        self.problems = dict(problems)


class DeliverySettled(EngineError):
    """A delivery cannot be sent again or dropped in the state it is in."""

    def __init__(self, delivery_id: int, state: str) -> None:
        super().__init__(
            Sentence(
                f"Lượt gửi {delivery_id} đang ở trạng thái {state}: không gửi lại hay bỏ được. "
                "Xem lại bằng: dondoc deliveries show",
                f"Delivery {delivery_id} is {state}: it can be neither sent again nor dropped so. "
                "Look at it by: dondoc deliveries show",
            )
        )
        self.state = state


class KeyReused(EngineError):
    """An idempotency key came back with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(
            Sentence(
                f"Khóa chống lặp “{key}” đã dùng cho một yêu cầu khác. Dùng khóa mới.",
                f'The idempotency key "{key}" was used for another request. Use a new key.',
            )
        )


class OutsideCalendar(EngineError):
    """A date lies in a year for which no working calendar was loaded."""

    def __init__(self, day: object) -> None:
        super().__init__(
            Sentence(
                f"Ngày {day} nằm ngoài lịch làm việc đã nạp. Nạp lịch của năm đó: "
                "dondoc calendar load FILE.",
                f"{day} is outside the working calendar. Load that year's calendar: "
                "dondoc calendar load FILE.",
            )
        )


class DefinitionInvalid(EngineError):
    """A definition (or other reference file) breaks a rule; the sentence names file and path."""


class DefinitionChanged(EngineError):
    """A published definition no longer has the hash it was published with."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            Sentence(
                f"Quy trình {name} phiên bản {version} đã bị sửa sau khi công bố. "
                "Khôi phục từ bản sao lưu; không tiếp tục vận hành.",
                f"Definition {name} version {version} was altered after publication. "
                "Restore it from a backup before going on.",
            )
        )


class DatabaseProblem(EngineError):
    """The database cannot be used as it is: unreachable, full, or of another schema."""
