"""Words that name nobody: the formats' own, and those of the course's content.

A text is taken apart into words of letters and digits; case does not count. Of a text that
learners may have had a hand in, only what is made of these words is kept as it is; and only what
is made of other words can give a learner away.
"""

import re
import unicodedata
from collections.abc import Iterable

from optimus.package.tables import KNOWN_TABLES

WORD = re.compile(r"[^\W_]+")
SHORT_NUMBER = re.compile(r"[0-9]{1,2}")

FORMATS = """
NULL true false null oid date numberLong numberInt numberDouble xml tag policy version
course_v1 block_v1 ccx_v1 ccx_block_v1 i4x type block branch http https org com
course chapter section sequential vertical unit problem html video discussion openassessment
library_content split_test conditional randomize word_cloud lti lti_consumer poll poll_question
survey combinedopenended annotatable drag and drop v2 done about static_tab course_info wrapper
problemset videosequence library itembank done na x_module
server browser mobile task x y page close question thread comment comment_thread commentthread
standalone up down downloadable notpassing passing audit honor verified professional no id
credit masters executive education invalid example encoding utf
none other error generating regenerating unavailable restricted unverified invalidated deleting
approved denied
administrator moderator group community ta instructor staff beta testers limited data researcher
ccx coach finance sales admin user
training peer self waiting cancelled hans hant
correct incorrect partially partial unanswered pass choicegroup checkboxgroup radiogroup
choiceresponse multiplechoiceresponse stringresponse numericalresponse formularesponse
customresponse optionresponse symbolicresponse textline optioninput
PE SE ST xblock partition_service partition partitions
load play pause stop complete seek speed_change show hide transcript closed captions cc menu
loaded played paused stopped position changed shown hidden language bumper oncaptionseek
onslideseek onskipseek html5
edx ui lms sequence next previous prev selected tab outline link_clicked jump_nav upgrade
navigation seq_goto seq_next seq_prev page_close book textbook pdf
enrollment activated deactivated mode_changed clicked succeeded
problem_check problem_check_fail problem_graded problem_save problem_reset problem_show
save_problem_success save_problem_fail save_problem_check save_problem_check_fail reset_problem
reset_problem_fail showanswer show_answer problem_rescore problem_rescore_fail hint
demandhint_displayed feedback_displayed submitted rescored score_overridden state_deleted
forum created viewed voted edited deleted reported unreported response searched followed
unfollowed endorsed unendorsed
certificate revoked shared evidence_visited generation enabled disabled
grades subsection grade_calculated grade passed first_time now_passed now_failed
completion block_completion toggled
cohort creation requested user_added user_removed user_add_requested
xmodule assigned_user_to_partition child_render librarycontentblock content assigned removed
openassessmentblock create_submission save_submission get_peer_submission peer_assess self_assess
staff_assess submit_feedback_on_assessments student_training_assess_example upload_file
get_submission_for_staff_grading
bookmark added listed accessed student_notes notes_page tool team learner_added learner_removed
page_viewed special_exam proctored practice timed attempt started ready_to_submit
add_instructor remove_instructor list_staff list_students list_instructors list_beta_testers
list_forum_admins rescore_all_submissions reset_all_attempts rescore_student_submission
reset_student_attempts delete_student_module_state dump_grades instructor report requested
courses courseware info progress dashboard event jump_to jump_to_id xblock handler modx
xmodule_handler problem_get input_ajax goto_position save_user_state publish_completion
render_grade render_submission render_peer_assessment render_self_assessment render_message
transcript translation available_translations download forum threads comments reply create
inline search users upvote downvote unvote update delete follow unfollow wiki pdfbook learning
home api sequence asset static segmentio login_ajax heartbeat dates student_view view
"""


class Words:
    """A set of words."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take the words of the formats, and those of some texts."""
        columns = (name for table, names in KNOWN_TABLES.items() for name in (table, *names))
        self._words = {word for text in (FORMATS, *columns, *texts) for word in words_of(text)}

    def make_up(self, text: str) -> bool:
        """Whether all words of a text are of this set, or numbers of one or two digits."""
        return all(word in self._words or SHORT_NUMBER.fullmatch(word) for word in words_of(text))


def words_of(text: str) -> list[str]:
    """The words of a text, in order and without case."""
    return WORD.findall(folded(text))


def folded(text: str) -> str:
    """A text in the one form in which texts are compared."""
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
