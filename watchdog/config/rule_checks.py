"""What is wrong with a rule by itself."""

from watchdog.config.shapes import Place
from watchdog.model.rules import (
    CheckRule,
    CollapseRule,
    CompositeRule,
    CountRule,
    Expect,
    GaugeRule,
    LatencyRule,
    Mode,
    RatioRule,
    Rule,
    RungKind,
    StallRule,
)


def check_rule(place: Place, rule: Rule) -> None:
    """What is wrong with a rule by itself."""
    match rule:
        case RatioRule() | LatencyRule() if rule.confidence.recent > rule.confidence.window:
            place.at("recent").error("is longer than `window`", "less than `window`")
        case RatioRule(bad=bad, total=total) if bad == total:
            place.at("bad").error("is the same as `total`, so the share is always everything", "the part that is bad")
        case LatencyRule(quantile=quantile) if not 0 < quantile < 1:
            place.at("quantile").error("leaves nothing to compare", "a share like 0.95")
        case RatioRule(above=above, clear=float() as clear) | CountRule(above=above, clear=float() as clear) if (
            clear > above
        ):
            place.at("clear").error("is above `above`", "a level below it, or leave it out")
        case LatencyRule(times_baseline=times) if times <= 1:
            place.at("times_baseline").error("is what is usual, or less", "a number above 1, as 2")
        case GaugeRule():
            _check_gauge(place, rule)
        case CompositeRule():
            _check_composite(place, rule)
        case CheckRule(of=()):
            place.at("of").error("names no check", "the names of the checks")
        case CheckRule(expect=expect) if expect is not Expect.VALUE and place.at("value").node is not None:
            place.at("value").error(f"is not used with `expect: {expect}`", "`expect: value`, or leave it out")
        case _:
            pass
    _check_unused(place, rule)
    if rule.enters is RungKind.DATA and not rule.proves:
        place.at("enters").warn(
            "this rule enters at data without proof, so the data rung will propose instead of acting",
            "`proves: true` if a breach can only come from the release, else a lower rung",
        )


def _check_composite(place: Place, rule: CompositeRule) -> None:
    count = len(rule.of)
    if len(set(rule.of)) < count:
        place.at("of").error("names a rule twice", "each rule once")
    elif count < 2:
        place.at("of").error("must name two rules or more", "the names of rules")
    elif not 1 <= rule.least <= count:
        instead = f"`all`, `any`, or a number from 1 to {count}"
        place.at("need").error(f"is not possible with {count} rules", instead)


def _check_gauge(place: Place, rule: GaugeRule) -> None:
    match rule:
        case GaugeRule(above=None, below=None):
            place.error("a gauge needs a level", "`above: …` or `below: …`")
        case GaugeRule(above=float() as above, below=float() as below) if above < below:
            place.at("above").error("is under `below`, so every level is a breach", "a level above `below`")
        case GaugeRule(above=float(), below=float(), clear=float()):
            place.at("clear").error("is one level, and the rule has two edges", "two rules, or leave it out")
        case GaugeRule(above=above, below=below, clear=float() as clear) if _beyond(above, below, clear):
            place.at("clear").error("is beyond the level of the breach", "a level where all is well, or leave it out")
        case _:
            pass


def _beyond(above: float | None, below: float | None, clear: float) -> bool:
    return (above is not None and clear > above) or (above is None and below is not None and clear < below)


def _check_unused(place: Place, rule: Rule) -> None:
    """Settings that such a rule does not look at, though whoever wrote them counts on them."""
    if isinstance(rule, RatioRule | LatencyRule) and rule.each and rule.mode is not Mode.CONFIDENT:
        message = "needs the test of `confident`: read literally, one of many values is over the line by chance"
        place.at("each").error(message, "`mode: confident` beside it")
    if rule.keep and not rule.hold:
        place.at("keep").error("is not looked at: it is about a rule that has to hold", "`hold: …`, or leave it out")
    if not rule.during:
        place.at("during").error("is empty, so the rule is never judged", "`[applying, baking]`, or leave it out")
    if isinstance(rule, CompositeRule) and place.at("mode").node is not None:
        place.at("mode").error("a composite rule has the mode of its rules", "leave it out")
    sure = isinstance(rule, CheckRule | StallRule | CollapseRule)
    mode = Mode.CONFIDENT if sure else Mode.LITERAL
    if (sure or isinstance(rule, GaugeRule)) and place.at("mode").node is not None and rule.mode is not mode:
        place.at("mode").error(f"this kind of rule is always {mode}", f"{mode}, or leave it out")
    if rule.hold and (sure or rule.mode is Mode.CONFIDENT):
        instead = {
            CheckRule: "`confirm: …`, how many readings must agree",
            StallRule: "`after: …`",
            CollapseRule: "`after: …`",
        }.get(type(rule))
        message = "is not looked at: a breach of such a rule counts at once"
        place.at("hold").error(message, instead or "another `mode`, or leave it out")
