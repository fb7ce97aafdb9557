// What build_tools/bundle.py defines: where files are, relative to the module.

declare const FLAGS: string;
declare const WORLD: string;
