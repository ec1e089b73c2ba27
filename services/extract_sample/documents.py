"""Events, posts and states without what could name somebody: only known keys are kept."""

from collections.abc import Mapping
from typing import Any

import orjson

from optimus.package.events import DEEPEST_NESTING
from optimus.package.olx_values import depth_exceeds
from services.extract_sample.pseudonyms import Pseudonyms
from services.extract_sample.tables import kinds_of

# A name without a kind is "code". The keys of "parts" are part ids of a problem.
KEYS: Mapping[str, str] = kinds_of("""
    user_id:person author_id:person student_id:person scorer_id:person attempt_user_id:person
    student:person other_user:person other_user_id:person up:person down:person
    abuse_flaggers:person historical_abuse_flaggers:person
    username:username author_username:username retired_username:username
    target_username:username other_username:username
    submission_uuid:opaque certificate_id:opaque session:opaque
    $oid _id _type comment_thread_id parent_id parent_ids id:row discussion response comment
    thread_type context commentable_id course_id org_id category_id team_id
    type code problem_id problem module_id module usage_key original_usage_key block_id block_type
    item_id component_usage_id target_tab current_tab tab_count widget_placement old new
    mode enrollment_mode generation_mode success correctness score_type response_type input_type
    correct attempts attempt_number attempt_status seed done grade max_grade npoints
    weighted_earned weighted_possible percent_grade letter_grade orig_score new_score orig_total
    new_total completion is_new group_id cohort_id partition_id child_id max_count location
    vote_value undo_vote truncated followed options total_results corrected
    votes up_count down_count count point endorsed endorsement anonymous anonymous_to_peers pinned
    closed visible comment_count depth child_count state position speed saved_video_position
    event_source event_type name
    correct_map:parts submission:parts
    $numberLong:number $numberInt:number $numberDouble:number currentTime:number
    current_time:number duration:number old_time:number new_time:number old_speed:number
    new_speed:number requested_skip_interval:number
    $date:moment created_at:moment updated_at:moment last_activity_at:moment time:moment
    last_submission_time:moment received_at:moment
    path:path page:path url:path current_url:path target_url:path
""")
CORRECT_MAP = "correct_map"
"""What person_course looks for in a state: it says that a problem was tried."""


class Documents:
    """Cleans JSON documents with the pseudonyms of one sample."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def clean(self, value: Any, kind: str = "code") -> Any:
        """A JSON value with its known keys alone, and pseudonyms for values."""
        if isinstance(value, dict) and kind == "parts":
            return {self._pseudonyms.code(key): self.clean(part) for key, part in value.items()}
        if isinstance(value, dict):
            return {key: self.clean(part, KEYS[key]) for key, part in value.items() if key in KEYS}
        if isinstance(value, list):
            return [self.clean(part, kind) for part in value]
        return self._pseudonyms.of("code" if kind == "parts" else kind, value)

    def clean_text(self, text: str) -> str | None:
        """JSON text of an object, cleaned; None for any other.

        An object may stand in a text, which may stand in a text: it stays so.
        """
        value, layers = _loaded(text), 0
        while isinstance(value, str):
            value, layers = _loaded(value), layers + 1
        if not isinstance(value, dict):
            return None
        cleaned = orjson.dumps(self.clean(value))
        for _ in range(layers):
            cleaned = orjson.dumps(cleaned.decode())
        return cleaned.decode()

    def state(self, text: str) -> str:
        """The state of a module: how far and how often, and not what was answered."""
        state = self.clean_object(text)
        if CORRECT_MAP in text:
            state.setdefault(CORRECT_MAP, {})
        return orjson.dumps(state).decode()

    def clean_object(self, text: str) -> dict[str, Any]:
        """The object of a JSON text, cleaned; empty for any other text."""
        value = _loaded(text)
        return self.clean(value) if isinstance(value, dict) else {}


def _loaded(text: str) -> Any:
    """The value of a JSON text; None where it is none, or nested as nothing of edX is."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return None if depth_exceeds(value, DEEPEST_NESTING) else value
