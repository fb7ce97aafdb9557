// Shapes of charts: donuts, lines and areas.

export { arc, area, curveMonotoneX, line, pie, stack } from "d3-shape";
