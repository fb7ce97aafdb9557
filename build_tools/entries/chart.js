// Lines over time. Its style sheet is chart.css.

import uPlot from "uplot";

export default uPlot;
