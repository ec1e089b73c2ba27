"""Watching videos, in the browser and in the app."""

from optimus.sample.courses import ORGANISATION, Video
from optimus.sample.moments import event_time
from optimus.sample.visit import Visit
from optimus.sample.words import MOBILE_AGENT

TRANSCRIPT = 0.06
GIVE_UP = 0.25
SEEK = 0.3
SPEED = 0.08
SAVE = 0.4
ANDROID = 0.6
OFFLINE = 0.3
HTML5 = 0.7
SPEEDS = ("0.75", "1.0", "1.25", "1.50", "2.0")
STRETCH_SECONDS = 90


def watch(visit: Visit, video: Video) -> None:
    """Watch one video in the browser, from its start."""
    head = _head(video, "html5" if visit.chance(HTML5) else video.youtube)
    visit.browser("load_video", f'{head}}}"')
    visit.progress.touch(video, visit.second)
    if visit.chance(TRANSCRIPT):
        visit.wait(2)
        visit.browser("show_transcript", f'{head}, \\"currentTime\\": 0}}"')
    visit.wait(3)
    position = 0.0
    while True:
        visit.browser("play_video", f'{head}, \\"currentTime\\": {position:.6g}}}"')
        stretch = STRETCH_SECONDS * (0.3 + visit.dice.random())
        visit.spend(min(stretch, video.duration - position))
        position += stretch
        if position >= video.duration:
            break
        visit.browser("pause_video", f'{head}, \\"currentTime\\": {position:.6g}}}"')
        if visit.chance(SAVE):
            _save(visit, video, position)
        if visit.chance(GIVE_UP):
            break
        position = _between(visit, video, head, position)
    if position >= video.duration:
        position = float(video.duration)
        visit.browser("stop_video", f'{head}, \\"currentTime\\": {position:.6g}}}"')
    _remember(visit, video, position)


def watch_in_app(visit: Visit, video: Video) -> None:
    """Watch one video in the app, now and then without a connection."""
    first = visit.progress.first[video.index]
    # An event recorded before the first opening would contradict the table's date of it.
    late = 0
    if first and visit.second - first > STRETCH_SECONDS and visit.chance(OFFLINE):
        late = int((visit.second - first - STRETCH_SECONDS) * visit.dice.random())
    visit.progress.touch(video, visit.second)
    system = "android" if visit.chance(ANDROID) else "iOS"
    reached = visit.dice.randint(10, video.duration)
    _app_event(visit, video, system, ("load_video", "edx.video.loaded", "", late))
    visit.wait(2)
    start = ', \\"currentTime\\": 0.0'
    _app_event(visit, video, system, ("play_video", "edx.video.played", start, late))
    visit.spend(reached)
    late = max(0, late - reached) if late else 0
    end = f', \\"currentTime\\": {reached}.0'
    _app_event(visit, video, system, ("pause_video", "edx.video.paused", end, late))
    _remember(visit, video, reached)


def _head(video: Video, code: str) -> str:
    return f'"{{\\"id\\": \\"{video.event_id}\\", \\"code\\": \\"{code}\\"'


def _between(visit: Visit, video: Video, head: str, position: float) -> float:
    """What happens while a video is paused; gives the position it goes on from."""
    visit.wait(8)
    if visit.chance(SPEED):
        old, new = visit.dice.sample(SPEEDS, 2)
        payload = (
            f'{head}, \\"current_time\\": {position:.6g}, '
            f'\\"old_speed\\": \\"{old}\\", \\"new_speed\\": \\"{new}\\"}}"'
        )
        visit.browser("speed_change_video", payload)
    if not visit.chance(SEEK):
        return position
    target = video.duration * visit.dice.random()
    payload = (
        f'{head}, \\"old_time\\": {position:.6g}, \\"new_time\\": {target:.6g}, '
        '\\"type\\": \\"onSlideSeek\\"}"'
    )
    visit.browser("seek_video", payload)
    visit.wait(1)
    return target


def _save(visit: Visit, video: Video, position: float) -> None:
    clock = f"00%3A{int(position) // 60:02}%3A{int(position) % 60:02}"
    payload = f'"{{\\"POST\\": {{\\"saved_video_position\\": [\\"{clock}\\"]}}, \\"GET\\": {{}}}}"'
    visit.implicit(f"{video.handler}/xmodule_handler/save_user_state", payload)
    visit.progress.touch(video, visit.second)


def _remember(visit: Visit, video: Video, position: float) -> None:
    visit.progress.touch(video, visit.second)
    visit.progress.detail[video.index] = int(position)


def _app_event(visit: Visit, video: Video, system: str, event: tuple[str, str, str, int]) -> None:
    """Write one event of the app: it has no session, and two times when it was offline."""
    event_type, name, more, late = event
    person, course = visit.person, visit.course
    received = visit.second
    time = event_time(received - late, visit.dice.randrange(1_000_000)) if late else visit.stamp()
    payload = f'{_head(video, "mobile")}{more}}}"'
    visit.lines.append(
        f'{{"username": "{person.username}", "event_type": "{event_type}", "name": "{name}", '
        f'"ip": "{person.addresses[0]}", "agent": "{MOBILE_AGENT}", "host": "{course.name.host}", '
        f'"session": "", "accept_language": "{person.language}", "event": {payload}, '
        f'"event_source": "mobile", "context": {{"user_id": {person.id}, '
        f'"org_id": "{ORGANISATION}", "course_id": "{course.id}", "path": "/segmentio/event", '
        f'"component": "videoplayer", "open_in_browser_url": "{visit.page}", '
        f'"application": {{"name": "edx.mobileapp.{system}", "version": "2.1.0"}}, '
        '"client": {"network": {"wifi": true}, "locale": "en-AU"}, '
        f'"received_at": {received}.125}}, "time": "{time}", "page": "{visit.page}", '
        '"referer": ""}\n'
    )
