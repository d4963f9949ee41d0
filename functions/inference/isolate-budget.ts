/**
 * How the 128 MB that the platform gives an isolate are shared out. None of its memories ever shrinks, so shares are fixed: what one part left free
 * would be lost to the others from the first time it was used. `npm run bench` fills all of them and sums what is held; test/inference holds the
 * runtime to its share.
 */
export const ISOLATE_BYTES = 128e6;

/**
 * The shared backbones, and other networks up to NETWORKS_MAX_BYTES. 52 MB without any; 83 MB was the most in `npm run bench` and in the test's order,
 * which is random; torn memory may cost more.
 */
export const RUNTIME_BYTES = 87.5e6;
/** The decoder after the pictures that take most of it. */
export const DECODER_BYTES = 21e6;
/** The script, its objects and buffers between requests. */
export const OBJECTS_BYTES = 6.5e6;

/** File bytes of tenants' networks and added backbones that are open at a time; the runtime needs up to twice that. Four picture tails of 4.1 MB, or a picture network and a tail. */
export const NETWORKS_MAX_BYTES = 18 * 1024 * 1024;
/** Heads: what is left. Of fifty classifiers with ten classes and a hundred kept examples, half of pictures and half of texts, all. */
export const HEADS_MAX_BYTES = ISOLATE_BYTES - RUNTIME_BYTES - DECODER_BYTES - OBJECTS_BYTES;
