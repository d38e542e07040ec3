"""How the page looks: light and dark, on a screen and on paper."""

from __future__ import annotations

STYLE = """
:root{--paper:#fbfaf6;--card:#fff;--ink:#1d2327;--soft:#5d666d;--line:#dfdcd3;--kept:#16795f;--pale:#a9d3c5;
--language:#d08a1d;--quality:#c24d3b;--repetition:#8259a8;--duplicate:#3f74ae;--dead:#4a4f55;--apart:#b9bfc4;
--status:#7d8c99;--type:#98a6b0;--empty:#5f7080;--note:#eef4f1;--warn:#fbeeda;--mark:#f7d774}
@media (prefers-color-scheme:dark){:root{--paper:#15181a;--card:#1d2124;--ink:#e8e6e1;--soft:#a2a9ae;--line:#343a3e;
--kept:#4fb894;--pale:#2b5a4b;--language:#e0a545;--quality:#e2745f;--repetition:#ab86cf;--duplicate:#6d9fd6;--dead:#c3c8cc;
--apart:#555d63;--status:#7b8791;--type:#66727b;--empty:#93a1ac;--note:#1c2a25;--warn:#382c17;--mark:#6b5312}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:2.5rem 1.25rem 5rem}
h1{font-size:clamp(1.7rem,4vw,2.6rem);line-height:1.15;letter-spacing:-.02em;margin:.2rem 0 1.4rem;text-wrap:balance}
h2{font-size:1.45rem;letter-spacing:-.01em;margin:3.2rem 0 .8rem;padding-top:.9rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{max-width:46rem;margin:.6rem 0}
code{font:.86em/1.4 ui-monospace,"SF Mono",Menlo,Consolas,"Noto Sans Mono",monospace;overflow-wrap:anywhere}
.eyebrow{text-transform:uppercase;letter-spacing:.14em;font-size:.75rem;color:var(--kept);font-weight:700;margin:0}
.facts,.why,.share,.place{color:var(--soft)}
.why{font-size:.85rem}
.tiles{list-style:none;margin:0 0 1rem;padding:0;display:grid;grid-template-columns:repeat(4,1fr);gap:1.6rem}
.tiles li{position:relative;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.9rem 1rem}
.tiles li.good{border-color:var(--kept)}
.tiles li+li::before{content:"→";position:absolute;left:-1.35rem;top:50%;translate:0 -50%;color:var(--soft)}
.tiles span{display:block}
.tiles .name{font-size:.85rem;font-weight:600}
.tiles .number{font-size:1.9rem;line-height:1.2;font-weight:700;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.tiles .good .number{color:var(--kept)}
.tiles .about{font-size:.82rem;line-height:1.35;color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1rem;font-size:.88rem;margin-top:1.2rem}
a{color:var(--kept);text-underline-offset:.2em}
svg{display:block;width:100%;border-radius:3px}
svg.stacked{height:34px;border-radius:6px}
svg.bar{height:14px;min-width:11rem}
.key{list-style:none;margin:.6rem 0 1.6rem;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;font-size:.92rem}
.swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.45em}
.fill-kept{fill:var(--kept)}.back-kept{background:var(--kept)}
.bar .fill-kept{fill:var(--pale)}
.fill-language{fill:var(--language)}.back-language{background:var(--language)}
.fill-quality,.fill-lost{fill:var(--quality)}.back-quality{background:var(--quality)}
.fill-repetition{fill:var(--repetition)}.back-repetition{background:var(--repetition)}
.fill-duplicate{fill:var(--duplicate)}.back-duplicate{background:var(--duplicate)}
.fill-dead{fill:var(--dead)}.back-dead{background:var(--dead)}
.fill-apart{fill:var(--apart)}.back-apart{background:var(--apart)}
.fill-http_status{fill:var(--status)}.back-http_status{background:var(--status)}
.fill-media_type{fill:var(--type)}.back-media_type{background:var(--type)}
.fill-empty_text,.fill-other{fill:var(--empty)}.back-empty_text,.back-other{background:var(--empty)}
.wide{overflow-x:auto;margin:1rem 0 1.6rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;font-weight:600;padding:0 0 .4rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;font-weight:400;
border-bottom:1px solid var(--line)}
thead th{font-size:.78rem;color:var(--soft);vertical-align:bottom}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tbody th code{font-weight:600;overflow-wrap:normal}
.funnel th[scope=row] .why{display:block;max-width:26rem}
.funnel td:last-child{width:36%;vertical-align:middle}
.yields td:last-child{width:38%}.yields td code{overflow-wrap:normal}
.yes{color:var(--kept);font-weight:600;white-space:nowrap}
.yes::before{content:"✓ "}
.note{background:var(--note);border-left:4px solid var(--kept);padding:.6rem .9rem;border-radius:0 6px 6px 0}
.note.warn{background:var(--warn);border-color:var(--language)}
.fill-ingest{fill:var(--kept)}.back-ingest{background:var(--kept)}
.fill-dedupe{fill:var(--duplicate)}.back-dedupe{background:var(--duplicate)}
.fill-filter{fill:var(--quality)}.back-filter{background:var(--quality)}
.fill-tokenizer{fill:var(--repetition)}.back-tokenizer{background:var(--repetition)}
.fill-encode{fill:var(--language)}.back-encode{background:var(--language)}
.alarm{background:var(--warn);border:2px solid var(--quality);border-radius:10px;padding:.8rem 1.1rem;margin:1rem 0}
.alarm h2{margin:0;padding:0;border:0;font-size:1.15rem;color:var(--quality)}
.alarm ul{margin:.5rem 0;padding-left:1.2rem}
.spreads{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1.2rem 1.8rem;margin:.8rem 0}
.figure{break-inside:avoid;min-width:0}.figure p{margin:0;font-size:.85rem}.figure .name{margin-bottom:.25rem}
.figure .lost{color:var(--quality)}
svg.spread{border-radius:0;overflow:visible}
.spread text{font-size:9px;fill:var(--soft)}.spread .axis{stroke:var(--soft);stroke-width:.6}
.spread .bound{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:3 2}
.cluster{margin:0 0 1.6rem}h4{margin:1rem 0 .4rem;font-size:.95rem}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.8rem}
.beside blockquote{font-size:.88rem}
.card.survivor{border-color:var(--kept);border-width:2px}
.survives{font-size:.88rem;background:var(--note);border-radius:6px;padding:.3rem .6rem}.survives b{color:var(--kept)}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:0 .1em}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem;margin:.8rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem;min-width:0;
overflow:hidden;display:flex;flex-direction:column}
.card>*{margin:0 0 .6rem}
.card blockquote{white-space:pre-wrap;overflow-wrap:anywhere;overflow:hidden;flex:1;
font:.95rem/1.5 Charter,Georgia,"Noto Serif",serif}
.chips{display:flex;flex-wrap:wrap;gap:.35rem}
.chip{font-size:.78rem;border:1px solid var(--line);border-radius:99px;padding:0 .6em;color:var(--soft)}
.chip b,dd b{color:var(--ink)}
.place{font-size:.76rem;line-height:1.45;overflow-wrap:anywhere}
.card .place{margin:0;border-top:1px dotted var(--line);padding-top:.5rem}
summary code{font-weight:600}
.verdict{font-size:.88rem;background:var(--warn);border-radius:6px;padding:.3rem .6rem}
.signals{font-size:.8rem;margin:.4rem 0 0}
.signals div{display:flex;justify-content:space-between;gap:1rem;border-bottom:1px dotted var(--line)}
.signals dd{margin:0;text-align:right}
details>summary{cursor:pointer}
section>details{border-bottom:1px solid var(--line);padding:.45rem 0}
.card details{font-size:.85rem}
td bdi{overflow-wrap:anywhere}
.merges,.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:0 2.5rem}
.merges ol{padding-left:1.6rem;margin:0;font-size:.9rem}
.merges code{background:var(--card);border:1px solid var(--line);border-radius:4px;padding:0 .3em}
@media (max-width:760px){
.tiles{grid-template-columns:1fr 1fr;gap:.8rem}.tiles li+li::before{content:none}svg.bar{min-width:5rem}}
@media print{body{background:#fff;color:#000;font-size:10pt}nav{display:none}main{max-width:none;padding:0}
.card,tr{break-inside:avoid}.wide{overflow:visible}details::details-content{content-visibility:visible;display:block}
svg,.swatch{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
