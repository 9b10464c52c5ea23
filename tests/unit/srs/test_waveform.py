from sidestream.srs.waveform import path_of


def test_outline_goes_right_above_the_middle_and_back_below_it() -> None:
    assert path_of([1.0, 0.5]) == "M0 0.0L1 25.0L1 75.0L0 100.0Z"


def test_silence_is_a_thin_line_and_clipping_stays_inside() -> None:
    assert path_of([0.0, 2.0]) == "M0 49.4L1 0.0L1 100.0L0 50.6Z"


def test_no_peaks_no_path() -> None:
    assert path_of([]) == ""
