/** Sizes as options take them, in MiB: `.memory(GiB(2))`. */
export type Mebibytes = number;

export const KiB = (n: number): Mebibytes => n / 1024;
export const MiB = (n: number): Mebibytes => n;
export const GiB = (n: number): Mebibytes => n * 1024;
export const TiB = (n: number): Mebibytes => n * 1024 * 1024;
