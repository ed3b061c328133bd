"""A term of one's own: the texts of different classes keep their distance."""

from craft.terms import Term, register_term


class SpreadTerm(Term):
    """Class texts keep their distance: the mean of their cosines to each other above a margin."""

    name, key, label = "spread", "SPREAD_WEIGHT", "spread"
    weight = 0.5
    settings = {"SPREAD_MARGIN": 0.25}

    def no_gradient(self, craft):
        return "" if craft.learner.learns_text else "the class texts are frozen, so it has no gradient"

    def compute(self, craft, step):
        text = step.out.text
        cosines = text @ text.t()
        return (cosines - craft.node.SPREAD_MARGIN).clamp(min=0).triu(diagonal=1).mean()


register_term(SpreadTerm())
