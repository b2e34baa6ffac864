"""What exit codes mean: of Linux programs, of the shells and runtimes that start them, and of Windows.

ECS reports what the container runtime reports. Above 128 it is 128 and the number of the signal that ended the process.
Windows has codes of 32 bits, which tools write with or without a sign: 0xC0000005 is 3221225477 or -1073741819.
Sources: signal(7); "Exit status" of `docker run`; NTSTATUS values, [MS-ERREF] 2.3.1; Microsoft's "Common process
termination values"; .NET's corerror.h.
"""

from collections.abc import Mapping

from router.causes import Words

_UNSIGNED = 2**32
_SIGNED = -(2**31)
_LAST_SIGNAL = 64
_NTSTATUS = range(0x40000000, 0xF0000000)

SIGINT, SIGKILL, SIGTERM = 130, 137, 143
CONTROL_C, TERMINATED_BY_CONSOLE = 0xC000013A, 0x40010004
_ASKED = frozenset({SIGINT, SIGTERM, CONTROL_C, TERMINATED_BY_CONSOLE})

# Signals by the number that Linux gives them on x86 and ARM; Python's own names depend on where it runs.
_IN_ORDER = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
_SIGNAL_NAMES = {number: f"SIG{name}" for number, name in enumerate(_IN_ORDER.split(), start=1)}

_OF_SIGNALS: Mapping[str, Words] = {
    "SIGHUP": Words("hangup (SIGHUP)", "ハングアップ (SIGHUP)"),
    "SIGINT": Words("interrupted by SIGINT", "SIGINT で終了"),
    "SIGQUIT": Words("quit by SIGQUIT", "SIGQUIT で終了"),
    "SIGILL": Words(
        "illegal instruction (SIGILL), often an image built for another CPU",
        "不正な命令 (SIGILL)。別の CPU 向けのイメージでよく発生",
    ),
    "SIGTRAP": Words("breakpoint trap (SIGTRAP)", "ブレークポイントトラップ (SIGTRAP)"),
    "SIGABRT": Words("the process aborted (SIGABRT)", "異常終了 (SIGABRT)"),
    "SIGBUS": Words("invalid memory access (SIGBUS)", "バスエラー (SIGBUS)"),
    "SIGFPE": Words("arithmetic error (SIGFPE)", "算術エラー (SIGFPE)"),
    "SIGKILL": Words("killed (SIGKILL)", "強制終了 (SIGKILL)"),
    "SIGSEGV": Words("segmentation fault (SIGSEGV)", "セグメンテーション違反 (SIGSEGV)"),
    "SIGPIPE": Words("wrote to a closed pipe (SIGPIPE)", "切断されたパイプへの書き込み (SIGPIPE)"),
    "SIGALRM": Words("its own timer expired (SIGALRM)", "タイマー満了 (SIGALRM)"),
    "SIGTERM": Words("terminated by SIGTERM", "SIGTERM で終了"),
    "SIGXCPU": Words("CPU time limit exceeded (SIGXCPU)", "CPU 時間の上限超過 (SIGXCPU)"),
    "SIGXFSZ": Words("file size limit exceeded (SIGXFSZ)", "ファイルサイズの上限超過 (SIGXFSZ)"),
    "SIGSYS": Words("forbidden system call (SIGSYS)", "許可されていないシステムコール (SIGSYS)"),
}

_PLAIN: Mapping[int, Words] = {
    0: Words("finished without an error", "正常終了"),
    1: Words("the application reported an error", "アプリケーションエラー"),
    2: Words(
        "the application reported an error, often wrong arguments",
        "アプリケーションエラー (コマンドライン引数の誤りなど)",
    ),
    125: Words("the container runtime itself failed", "コンテナランタイム自体の障害"),
    126: Words("command found but not executable", "コマンドは存在しますが実行できません"),
    127: Words("command not found", "コマンドが見つかりません"),
    128: Words("invalid exit status", "不正な終了コード"),
    255: Words(
        "runtime failure, or the application returned -1", "ランタイムの障害、またはアプリケーションが -1 を返しました"
    ),
    -1: Words(
        "runtime failure, or the application returned -1", "ランタイムの障害、またはアプリケーションが -1 を返しました"
    ),
}

_WINDOWS: Mapping[int, Words] = {
    0x40010004: Words("stopped by the system", "システムによる停止"),
    0x80000003: Words("breakpoint hit: a failed assertion", "ブレークポイント (アサーションの失敗)"),
    0x80131506: Words("internal error of the .NET runtime", ".NET ランタイムの内部エラー"),
    0x80131623: Words("the .NET application failed fast", ".NET アプリケーションの FailFast"),
    0xC0000005: Words("access violation", "アクセス違反"),
    0xC0000006: Words("a page could not be read from disk", "ページの読み取りエラー"),
    0xC0000017: Words("not enough memory", "メモリ不足"),
    0xC000001D: Words("illegal instruction", "不正な命令"),
    0xC0000022: Words("access denied", "アクセス拒否"),
    0xC0000094: Words("integer division by zero", "整数のゼロ除算"),
    0xC00000FD: Words("stack overflow", "スタックオーバーフロー"),
    0xC000007B: Words(
        "invalid image, often a 32-bit DLL in a 64-bit process",
        "無効なイメージ (64 ビットプロセスでの 32 ビット DLL など)",
    ),
    0xC000012D: Words("out of virtual memory (commit limit)", "仮想メモリ不足 (コミット上限)"),
    0xC0000135: Words("a DLL was not found", "DLL が見つかりません"),
    0xC0000138: Words("a DLL lacks a function (ordinal)", "DLL に必要な関数 (序数) がありません"),
    0xC0000139: Words("a DLL lacks a function", "DLL に必要な関数がありません"),
    0xC000013A: Words("stopped by Ctrl+C or a shutdown", "Ctrl+C またはシャットダウンによる停止"),
    0xC0000142: Words("a DLL failed to initialize", "DLL の初期化に失敗"),
    0xC0000374: Words("heap corruption", "ヒープの破損"),
    0xC0000409: Words(
        "stack buffer overrun, or the process failed fast", "スタックバッファオーバーラン、または FailFast"
    ),
    0xC0000417: Words("invalid argument to the C runtime", "C ランタイムへの不正な引数"),
    0xC0000420: Words("assertion failed", "アサーションの失敗"),
    0xC06D007E: Words("a delay-loaded DLL was not found", "遅延ロードの DLL が見つかりません"),
    0xE0434352: Words("unhandled .NET exception", ".NET の未処理例外"),
    0xE06D7363: Words("unhandled C++ exception", "C++ の未処理例外"),
}


def unsigned(code: int) -> int:
    """The code as Windows' documents write it, without a sign; a code of Linux stays as it is."""
    return code + _UNSIGNED if _SIGNED <= code < -1 else code


def signal_name(code: int) -> str:
    """The signal that ended the process, such as `SIGSEGV` for 139; "" if it was not a signal."""
    number = code - 128
    if number in _SIGNAL_NAMES:
        return _SIGNAL_NAMES[number]
    return f"signal {number}" if len(_SIGNAL_NAMES) < number <= _LAST_SIGNAL else ""


def meaning(code: int, language: str) -> str:
    """What the code means, in a few words without a full stop; "" if only the application knows.

    Args:
        code: as ECS reports it, with or without a sign.
        language: `en` or `ja`.
    """
    plain, of_windows = _PLAIN.get(code), _WINDOWS.get(unsigned(code))
    if plain:
        return _in(plain, language)
    if of_windows:
        return f"{_in(of_windows, language)} (0x{unsigned(code):08X})"
    name = signal_name(code)
    if name:
        return _in(_OF_SIGNALS.get(name) or Words(f"ended by {name}", f"{name} で終了"), language)
    return f"0x{unsigned(code):08X}" if unsigned(code) in _NTSTATUS else ""


def _in(words: Words, language: str) -> str:
    return words.ja if language == "ja" else words.en


def asked_to_stop(code: int) -> bool:
    """Whether the process was asked to stop: SIGTERM, SIGINT (some images' STOPSIGNAL), or what Windows sends.

    Beside a container that ended with 0 this is no failure: ECS stops the others once an essential one has ended.
    """
    return unsigned(code) in _ASKED
