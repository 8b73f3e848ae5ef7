/* What every program begins with: what a solve reads, what is kept of a step, and functions of
   numbers. */

#define maximum(a, b) ((a) != (a) || (a) > (b) ? (a) : (b))
#define minimum(a, b) ((a) != (a) || (a) < (b) ? (a) : (b))
#define sign(a) ((a) > 0 ? (real)1 : (a) < 0 ? (real)-1 : (a))

enum { BY_ERROR, CONSTANT, GIVEN };
enum { SUM, MEAN, MAX };

typedef struct {
    const real *p; /* parameters, and behind them data */
    const real *rtol, *atol;
    real t0;
    const real *save_at;
    const real *stop_times;
    const unsigned char *sided;
    const int *jumps; /* by stop, so many a row, filled up with -1 */
    const real *steps; /* given ones: pairs of start and size */
    long saves, first_stop, last_stop, jumps_a_stop;
    long taken, pieces; /* of the given steps */
    real first_step, max_step; /* NAN: found, and none */
    long max_steps, window; /* steps that are kept with their stages */
    int control, absolute, reduction, sound;
} Task;

typedef struct {
    real t, h, t1;
    int stop, reaches; /* the stop ahead, and whether the step ends on it */
    int saved, passed; /* the saves on the step */
    real y[N];
} Row;

typedef struct { real before, after; } Limits;

static inline real clip(real t, Limits side) {
    return !BREAKS || (t >= side.before && t <= side.after) ? t
           : t < side.before ? side.before : side.after;
}

/* The step size to eight significant bits, so that rounding elsewhere does not change it. */
static inline real short_size(real h) {
    union { float number; unsigned bits; } x = {(float)h};
    if (isfinite(h)) x.bits = (x.bits + 0x7FFF + (x.bits >> 16 & 1)) & 0xFFFF0000u;
    return x.number;
}

static int all_finite(const real *x, long n) {
    for (long i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}
