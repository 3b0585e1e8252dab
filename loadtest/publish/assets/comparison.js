// The comparison's charts: one for each HEAD.
"use strict";
new charts.Board(document.querySelector("main")).show(JSON.parse(document.getElementById("data").textContent));
