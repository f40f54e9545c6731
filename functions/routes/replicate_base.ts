/** Where Replicate's cloud is mounted. */
export const BASE = "/replicate/v1";
