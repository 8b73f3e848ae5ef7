/* What every program begins with: small functions of numbers, and what is kept of a step. */

#define maximum(a, b) ((a) != (a) || (a) > (b) ? (a) : (b))
#define minimum(a, b) ((a) != (a) || (a) < (b) ? (a) : (b))
#define sign(a) ((a) > 0 ? (real)1 : (a) < 0 ? (real)-1 : (a))

typedef struct { real before, after; } Limits;

typedef struct {
    real t, h, t1;
    int stop, reaches; /* the stop ahead, and whether the step ends on it */
    int saved, passed; /* the saves on the step */
    real y[N];
} Row;

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
