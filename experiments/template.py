"""The frame of a report's page: its look, and where things go."""

from __future__ import annotations

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { margin: 2.5rem auto; max-width: 78rem; padding: 0 1.5rem; background: #fff; color: #222;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; } h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p, li { max-width: 50rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; font-size: .9rem; }
.wide { overflow-x: auto; }
th, td { padding: .38rem .55rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th { border-bottom: 2px solid #888; text-align: right; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; min-width: 8rem; }
td small { display: block; color: #555; white-space: nowrap; font-size: .78em; line-height: 1.35; }
.win { color: #00694b; font-weight: 600; } .loss { color: #a84300; font-weight: 600; }
.tie, .unknown, .oracle { color: #555; }
tr.oracle td { background: #f4f4f4; font-style: italic; }
.notes { border-left: 4px solid #c98a00; background: #fff8e6; padding: .6rem 1rem; margin: 1rem 0; }
.notes ul { margin: 0; padding-left: 1.1rem; }
figure { margin: 1rem 0 2rem; } figure svg, figure img { max-width: 100%; height: auto; }
figcaption { color: #444; font-size: .92rem; max-width: 50rem; }
.facts td { text-align: left; overflow-wrap: anywhere; } .facts td:first-child { white-space: nowrap; color: #555; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f5; padding: .8rem 1rem; }
</style>
</head>
<body>
<h1>$title</h1>
$lead
$notes
<h2>Scores</h2>
$scores
<h2>Differences</h2>
$differences
$more
<h2>Figures</h2>
$figures
<h2>How it was measured</h2>
$method
<h2>Provenance</h2>
$facts
</body>
</html>
""")
