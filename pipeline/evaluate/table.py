"""An evaluation of the perfusion analysis as text, for people."""

from collections.abc import Iterator

from pipeline.evaluate.cohort import FAILED_BELOW, Evaluation


def table(found: Evaluation) -> str:
    """Return the series, the ways to use the pool, their tests and the figures as lines."""
    lines = [*_series(found), "", *_ways(found), "", *_tests(found), "", *_warnings(found), ""]
    lines += [f"{key}: {shown(value)}" for key, value in found.summary().items()]
    lines += [f"not judged: {name}: {why}" for name, why in found.not_judged.items()]
    return "\n".join(lines)


def shown(value: object) -> str:
    """Return a figure as text."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(v)}" for name, v in value.items()) or "none"
    return str(value)


def _series(found: Evaluation) -> Iterator[str]:
    """Yield a line for each series."""
    width = max(len(r.name) for r in found.rows)
    yield f"{'series':{width}}  myocardium  blood pool    U_pp  P(fail)  chosen"
    for r in found.rows:
        blood = "       -" if r.blood_pool_dice is None else f"{r.blood_pool_dice:8.3f}"
        trust = "      -" if r.failure_probability is None else f"{r.failure_probability:7.3f}"
        chosen = ", ".join(c or "none" for c in r.chosen_members)
        mark = "  FAILED" if r.myocardium_dice < FAILED_BELOW else ""
        flag = "  flagged" if r.flagged else ""
        yield (
            f"{r.name:{width}}  {r.myocardium_dice:10.3f}  {blood:>10}  {r.u_pp:6.4f}  {trust}  "
            f"{chosen}{mark}{flag}"
        )


def _ways(found: Evaluation) -> Iterator[str]:
    """Yield a line for each way to use the pool."""
    ways = found.ways()
    width = max(len(w.way) for w in ways)
    yield f"{'myocardium':{width}}    mean      SD  median  failed"
    for w in ways:
        sd = "     -" if w.sd is None else f"{w.sd:6.3f}"
        yield (
            f"{w.way:{width}}  {w.mean:6.3f}  {sd}  {w.median:6.3f}  "
            f"{w.failed} of {len(found.rows)} ({w.failed_share:.1%})"
        )


def _tests(found: Evaluation) -> Iterator[str]:
    """Yield a line for each test against the chosen member."""
    tests = found.tests()
    width = max(len(t.against) for t in tests)
    yield (
        f"{'chosen against':{width}}  difference  patients  p (signed ranks)  "
        "failed alone: chosen, other  p (exact)"
    )
    for t in tests:
        yield (
            f"{t.against:{width}}  {t.mean_difference:+10.4f}  {t.n_differ:4} of {t.n_patients:<3}"
            f"{_p(t.p_dice):>15}  {t.only_chosen_failed:21}, {t.only_other_failed:5}  "
            f"{_p(t.p_failed):>9}"
        )


def _warnings(found: Evaluation) -> Iterator[str]:
    """Yield a line for each score that warns of failures."""
    for w in found.warnings():
        if w.auroc is None or w.auroc_limits is None:
            yield f"{w.score}: {w.n_failed} of {w.n_cases} failed, no AUROC"
            continue
        low, high = w.auroc_limits
        yield (
            f"{w.score}: AUROC for failure {w.auroc:.3f} ({low:.3f} to {high:.3f}), mean risk "
            f"{w.mean_risk:.4f}, {w.n_failed} of {w.n_cases} failed"
        )


def _p(value: float | None) -> str:
    """Return a p as text."""
    return "-" if value is None else f"{value:.4f}"
