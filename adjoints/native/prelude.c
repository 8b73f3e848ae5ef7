/* What every program begins with: numbers, what a solve reads, and what is kept of a step.

   W trajectories are solved side by side, in lanes of their own. A real is a number of each, a
   truth whether something holds in each; where W is 1, they are plain numbers. */

#ifdef __AVX512F__
#define VECTOR_BYTES 64
#else
#define VECTOR_BYTES 32
#endif

#if W == 1
typedef scalar real;
typedef long long bits;
typedef bits truth;
#define number(x) ((scalar)(x))
#else
#if VECTOR_BYTES / W == 8
typedef long long bits;
#else
typedef int bits;
#endif
typedef scalar real __attribute__((vector_size(VECTOR_BYTES)));
typedef bits truth __attribute__((vector_size(VECTOR_BYTES)));
#define number(x) ((scalar)(x) - (real){0})
#endif

enum { YES = W == 1 ? 1 : -1 };

#define EACH_LANE for (int l = 0; l < W; l++)
#define LANE(x, l) (((scalar *)&(x))[l])
#define TRUTH(x, l) (((bits *)&(x))[l])
/* Unrolled before they are made vector instructions, loops stay slow. */
#define ALL_LANES _Pragma("GCC unroll 1") EACH_LANE

static inline real blend(truth which, real a, real b) {
#if W == 1
    return which ? a : b;
#else
    return (real)((which & (truth)a) | (~which & (truth)b));
#endif
}

static inline int any(truth which) {
    bits found = 0;
    ALL_LANES found |= TRUTH(which, l);
    return found != 0;
}

static inline truth no(truth which) { return which == 0; }
static inline truth is_finite(real x) { return x - x == 0; }
static inline real maximum(real a, real b) { return blend((a != a) | (a > b), a, b); }
static inline real minimum(real a, real b) { return blend((a != a) | (a < b), a, b); }
static inline real sign(real a) {
    return blend(a > 0, number(1), blend(a < 0, number(-1), a));
}

#define OF_LANES(function) \
    static inline real function##_lanes(real a) { \
        real found; \
        ALL_LANES LANE(found, l) = function(LANE(a, l)); \
        return found; \
    }
#define OF_PAIRS(function) \
    static inline real function##_lanes(real a, real b) { \
        real found; \
        ALL_LANES LANE(found, l) = function(LANE(a, l), LANE(b, l)); \
        return found; \
    }

/* The step size to eight significant bits, so that rounding elsewhere does not change it. */
static inline scalar short_size(scalar h) {
    union { float number; unsigned bits; } x = {(float)h};
    unsigned rounded = (x.bits + 0x7FFF + (x.bits >> 16 & 1)) & 0xFFFF0000u;
    x.bits = (x.bits & 0x7F800000u) == 0x7F800000u ? x.bits : rounded;
    return x.number;
}

OF_LANES(sqrt) OF_LANES(cbrt) OF_LANES(erf) OF_LANES(erfc)
OF_LANES(exp) OF_LANES(exp2) OF_LANES(expm1) OF_LANES(log) OF_LANES(log1p) OF_LANES(log2)
OF_LANES(log10)
OF_LANES(sin) OF_LANES(cos) OF_LANES(tan) OF_LANES(asin) OF_LANES(acos) OF_LANES(atan)
OF_LANES(sinh) OF_LANES(cosh) OF_LANES(tanh) OF_LANES(asinh) OF_LANES(acosh) OF_LANES(atanh)
OF_LANES(fabs) OF_LANES(floor) OF_LANES(ceil) OF_LANES(round) OF_LANES(rint)
OF_LANES(short_size)
OF_PAIRS(pow) OF_PAIRS(hypot) OF_PAIRS(atan2) OF_PAIRS(fmod)

enum { BY_ERROR, CONSTANT, GIVEN };
enum { SUM, MEAN, MAX };

/* What a trajectory reads. */
typedef struct {
    const scalar *start, *p; /* parameters, and behind them data */
    const scalar *rtol, *atol;
    scalar t0;
    const scalar *save_at;
    const scalar *stop_times;
    const unsigned char *sided;
    const int *jumps; /* by stop, so many a row, filled up with -1 */
    const scalar *steps; /* given ones: pairs of start and size */
    long first_stop, last_stop;
    long taken, pieces; /* of the given steps */
    scalar first_step, max_step; /* NAN: found, and none */
    int sound;
} Task;

typedef struct {
    long accepted, attempts;
    int status;
    scalar t;
} Report;

typedef struct { real before, after; } Limits;

typedef struct {
    real t, h, t1, y[N];
    truth accepted;
    truth reaches; /* whether the step ends on the stop ahead */
    truth saves; /* whether there are saves on it: from saved to passed */
    int stop[W], saved[W], passed[W];
} Row;

/* The trajectories under way. */
typedef struct {
    long saves, jumps_a_stop, max_steps, window; /* steps that are kept with their stages */
    int control, absolute, reduction;
    Task task[W];
    Report *report[W];
    scalar *ys[W], *steps[W]; /* where these go; the steps may go nowhere */
    const scalar *dys[W];
    truth running, attempts, accepted;
    real t, size, previous_error, stretch, max_step, end, next_save;
    Limits side;
    int stop[W], saved[W], occupied;
    real y[N], slope[N], rtol[N], atol[N], p[P + DATA];
} Lanes;

static inline real clip(real t, Limits side) {
    return BREAKS ? blend(t < side.before, side.before, blend(t <= side.after, t, side.after)) : t;
}

static truth all_finite(const real *x, long n) {
    truth found = is_finite(x[0]);
    for (long i = 1; i < n; i++) found &= is_finite(x[i]);
    return found;
}

/* As aligned as the numbers are. */
static void *room_of(long bytes) {
#if W == 1
    return malloc(bytes);
#else
    return aligned_alloc(sizeof(real), (bytes / sizeof(real) + 1) * sizeof(real));
#endif
}
