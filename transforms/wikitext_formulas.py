"""Formulas of <math> that can be written in a line: letters, signs and powers, no fractions, roots or matrices."""

from __future__ import annotations

import re

_GREEK = "alpha α beta β gamma γ delta δ zeta ζ eta η theta θ kappa κ lambda λ mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ"
_GREEK += " phi φ varphi φ chi χ psi ψ omega ω epsilon ε varepsilon ε Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π"
_GREEK += " Sigma Σ Phi Φ Psi Ψ Omega Ω"
_SIGNS = "to → rightarrow → Rightarrow ⇒ leftarrow ← leftrightarrow ↔ Leftrightarrow ⇔ neg ¬ lnot ¬ land ∧ wedge ∧"
_SIGNS += " lor ∨ vee ∨ leq ≤ le ≤ geq ≥ ge ≥ neq ≠ ne ≠ approx ≈ equiv ≡ sim ~ times × cdot · div ÷ pm ± infty ∞ in ∈"
_SIGNS += " notin ∉ subset ⊂ subseteq ⊆ cup ∪ cap ∩ emptyset ∅ varnothing ∅ forall ∀ exists ∃ circ ° degree ° ldots …"
_SIGNS += " dots … cdots … mid | prime ′ partial ∂ nabla ∇"
_WORDS = "sin cos tan cot sec csc log ln exp min max gcd mod det dim lim sup inf"
_NAMES = {**{w: f" {w} " for w in _WORDS.split()}, "quad": " ", "qquad": " ", "left": "", "right": ""}
for _pairs in (_GREEK.split(), _SIGNS.split()):
    _NAMES.update(zip(_pairs[::2], _pairs[1::2], strict=True))
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SPACE = re.compile(r"\\[,;:! ]|~")
_TIGHT = re.compile(r"(?<=[(/¬]) | (?=[)^_])")
_MAX = 200
"""Characters of a formula; longer ones are not lines."""


def shown_formula(source: str) -> str:
    """`x`, `sin θ = a/b` or `A → B` as such; empty for what does not read as it is written."""
    if len(source) > _MAX:
        return ""
    text = _COMMAND.sub(lambda found: _NAMES.get(found[1], found[0]), _SPACE.sub(" ", source))
    text = re.sub(r"([\^_])\{(\w{1,3}|-\d{1,3})\}", r"\1\2", text)
    return "" if re.search(r"[\\{}&$<]", text) else _TIGHT.sub("", " ".join(text.split()))
