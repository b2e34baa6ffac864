"""What exit codes mean, in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ecs.exit_codes import asked_to_stop, meaning, signal_name, unsigned


@pytest.mark.parametrize(
    ("code", "english"),
    [
        (0, "finished without an error"),
        (1, "the application reported an error"),
        (2, "the application reported an error, often wrong arguments"),
        (125, "the container runtime itself failed"),
        (126, "command found but not executable"),
        (127, "command not found"),
        (128, "invalid exit status"),
        (129, "hangup (SIGHUP)"),
        (130, "interrupted by SIGINT"),
        (131, "quit by SIGQUIT"),
        (132, "illegal instruction (SIGILL), often an image built for another CPU"),
        (133, "breakpoint trap (SIGTRAP)"),
        (134, "the process aborted (SIGABRT)"),
        (135, "invalid memory access (SIGBUS)"),
        (136, "arithmetic error (SIGFPE)"),
        (137, "killed (SIGKILL)"),
        (138, "ended by SIGUSR1"),
        (139, "segmentation fault (SIGSEGV)"),
        (141, "wrote to a closed pipe (SIGPIPE)"),
        (143, "terminated by SIGTERM"),
        (152, "CPU time limit exceeded (SIGXCPU)"),
        (153, "file size limit exceeded (SIGXFSZ)"),
        (159, "forbidden system call (SIGSYS)"),
        (162, "ended by signal 34"),
        (255, "runtime failure, or the application returned -1"),
        (-1, "runtime failure, or the application returned -1"),
        (3221225477, "access violation (0xC0000005)"),
        (-1073741819, "access violation (0xC0000005)"),
        (3221225725, "stack overflow (0xC00000FD)"),
        (-1073741571, "stack overflow (0xC00000FD)"),
        (3221226356, "heap corruption (0xC0000374)"),
        (3221225786, "stopped by Ctrl+C or a shutdown (0xC000013A)"),
        (-1073741510, "stopped by Ctrl+C or a shutdown (0xC000013A)"),
        (1073807364, "stopped by the system (0x40010004)"),
        (3221225781, "a DLL was not found (0xC0000135)"),
        (3762504530, "unhandled .NET exception (0xE0434352)"),
        (-532462766, "unhandled .NET exception (0xE0434352)"),
        (3221226505, "stack buffer overrun, or the process failed fast (0xC0000409)"),
        (3221225999, "0xC000020F"),
        (-1073741297, "0xC000020F"),
    ],
)
def test_a_code_that_is_known_has_a_meaning(code: int, english: str) -> None:
    assert meaning(code, "en") == english
    assert meaning(code, "ja")


@pytest.mark.parametrize("code", [3, 17, 99, 100, 254, 256, 193, 1000, -2, -15, 4294967294, 2**40, -(2**40)])
def test_a_code_that_only_the_application_knows_has_none(code: int) -> None:
    assert meaning(code, "en") == meaning(code, "ja") == ""


@pytest.mark.parametrize("number", range(1, 65))
def test_every_signal_has_a_name(number: int) -> None:
    assert signal_name(128 + number)
    assert signal_name(128 + number) in meaning(128 + number, "en")


@pytest.mark.parametrize("code", [0, 1, 127, 128, 193, 255, -1, 3221225477])
def test_other_codes_are_no_signals(code: int) -> None:
    assert signal_name(code) == ""


@pytest.mark.parametrize("code", [130, 143, 3221225786, -1073741510, 1073807364])
def test_these_were_asked_to_stop(code: int) -> None:
    assert asked_to_stop(code)


@pytest.mark.parametrize("code", [0, 1, 129, 131, 137, 139, 255, -1, 3221225477, -1073741819, 3221225785])
def test_these_were_not(code: int) -> None:
    assert not asked_to_stop(code)


@given(st.integers(-(2**31), -2))
def test_the_sign_of_a_windows_code_makes_no_difference(code: int) -> None:
    assert meaning(code, "en") == meaning(code + 2**32, "en")
    assert asked_to_stop(code) == asked_to_stop(code + 2**32)
    assert unsigned(code) == code + 2**32


@given(st.integers())
def test_any_code_has_the_same_meaning_in_both_languages_or_none(code: int) -> None:
    assert bool(meaning(code, "en")) == bool(meaning(code, "ja"))
    assert meaning(code, "en").isascii()
