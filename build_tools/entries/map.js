// A map of the world: projections, and where its data are.

import codes from "i18n-iso-countries/codes.json";

export {
  geoArea,
  geoBounds,
  geoCentroid,
  geoContains,
  geoDistance,
  geoEqualEarth,
  geoGraticule,
  geoGraticule10,
  geoInterpolate,
  geoMercator,
  geoNaturalEarth1,
  geoPath,
} from "d3-geo";
export { feature, mesh } from "topojson-client";

/** The address of the TopoJSON of all countries; their `id` is the number of ISO 3166-1. */
export const worldUrl = new URL(WORLD, import.meta.url).href;

/** Two letters for the number of ISO 3166-1: "276" is "DE". @type {ReadonlyMap<string, string>} */
export const countryOfNumber = new Map(codes.map(([letters, , number]) => [`${number}`, `${letters}`]));
