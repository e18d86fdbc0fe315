/* Variance, covariance, correlation, regression: means and sums of squared differences kept up to
 * date value by value (Welford) and put together by Chan's formula, so that large means do not eat
 * small variances. */
#include "engine/exec/functions_aggregate_int.h"

#include <math.h>

/* ---- one variable ---- */

struct moments {
    double count, mean, squares; /* squares: of differences to the mean */
};

static inline struct moments *moments_at(uint8_t *state)
{
    return (struct moments *)(void *)state;
}

static uint32_t moments_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct moments);
}

static void moments_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct moments));
}

static bool take_moments(uint8_t *state, const void *values, uint32_t at)
{
    struct moments *moments = moments_at(state);
    double value = ((const double *)values)[at], difference = value - moments->mean;
    moments->count++;
    moments->mean += difference / moments->count;
    moments->squares += difference * (value - moments->mean);
    return true;
}

static bool join_moments(uint8_t *into, const uint8_t *from)
{
    struct moments *a = moments_at(into);
    const struct moments *b = (const struct moments *)(const void *)from;
    if (b->count == 0)
        return true;
    if (a->count == 0) {
        *a = *b;
        return true;
    }
    double count = a->count + b->count, difference = b->mean - a->mean;
    a->squares += b->squares + difference * difference * a->count * b->count / count;
    a->mean += difference * b->count / count;
    a->count = count;
    return true;
}

static weir_status moments_update(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory,
                                  const struct weir_vector *arguments, const uint32_t *rows,
                                  uint32_t count, uint8_t *const *states, uint32_t offset,
                                  struct weir_error *reterr)
{
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    (void)call;
    (void)memory;
    (void)reterr;
    fold_each(&fold, take_moments);
    return WEIR_OK;
}

static weir_status moments_combine(const struct weir_aggregate_call *call,
                                   struct weir_aggregate_memory *memory, uint8_t *const *into,
                                   uint8_t *const *from, uint32_t count, uint32_t offset,
                                   struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    fold_pairs(into, from, count, offset, join_moments);
    return WEIR_OK;
}

/* value: false = null. */
static inline __attribute__((always_inline)) weir_status moments_results(
    const struct weir_aggregate_call *call, uint8_t *const *states, uint32_t offset, uint32_t count,
    struct weir_arena *arena, bool sample, bool root, struct weir_vector *ret_vector,
    struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct moments *moments = moments_at(states[i] + offset);
        double divisor = moments->count - (sample ? 1 : 0);
        if (divisor <= 0) {
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
            continue;
        }
        double variance = moments->squares / divisor;
        ((double *)made.values)[i] = root ? sqrt(variance) : variance;
    }
    *ret_vector = made;
    return WEIR_OK;
}

static weir_status var_samp(const struct weir_aggregate_call *call, uint8_t *const *states,
                            uint32_t offset, uint32_t count, struct weir_arena *arena,
                            struct weir_vector *ret_vector, struct weir_error *reterr)
{
    return moments_results(call, states, offset, count, arena, true, false, ret_vector, reterr);
}
static weir_status var_pop(const struct weir_aggregate_call *call, uint8_t *const *states,
                           uint32_t offset, uint32_t count, struct weir_arena *arena,
                           struct weir_vector *ret_vector, struct weir_error *reterr)
{
    return moments_results(call, states, offset, count, arena, false, false, ret_vector, reterr);
}
static weir_status stddev_samp(const struct weir_aggregate_call *call, uint8_t *const *states,
                               uint32_t offset, uint32_t count, struct weir_arena *arena,
                               struct weir_vector *ret_vector, struct weir_error *reterr)
{
    return moments_results(call, states, offset, count, arena, true, true, ret_vector, reterr);
}
static weir_status stddev_pop(const struct weir_aggregate_call *call, uint8_t *const *states,
                              uint32_t offset, uint32_t count, struct weir_arena *arena,
                              struct weir_vector *ret_vector, struct weir_error *reterr)
{
    return moments_results(call, states, offset, count, arena, false, true, ret_vector, reterr);
}

#define ONE_VARIABLE(function_name, result, text)                                                  \
    const struct weir_aggregate_function aggregate_##function_name = {                             \
        .name = #function_name,                                                                    \
        .signature = #function_name "(number) -> double",                                          \
        .doc = text,                                                                               \
        .argument_min = 1,                                                                         \
        .argument_max = 1,                                                                         \
        .bind = aggregate_bind_doubles,                                                            \
        .state_size = moments_size,                                                                \
        .init = moments_init,                                                                      \
        .update = moments_update,                                                                  \
        .combine = moments_combine,                                                                \
        .finalize = result}
ONE_VARIABLE(variance, var_samp, "The same as var_samp.");
ONE_VARIABLE(var_samp, var_samp, "Variance of a sample (divided by n - 1); null below two values.");
ONE_VARIABLE(var_pop, var_pop, "Variance (divided by n); null without values.");
ONE_VARIABLE(stddev, stddev_samp, "The same as stddev_samp.");
ONE_VARIABLE(stddev_samp, stddev_samp, "Square root of var_samp.");
ONE_VARIABLE(stddev_pop, stddev_pop, "Square root of var_pop.");

/* ---- two: y, x as in SQL ---- */

struct pairs {
    double count, mean_y, mean_x, yy, xx, xy;
};

static inline struct pairs *pairs_at(uint8_t *state)
{
    return (struct pairs *)(void *)state;
}

static uint32_t pairs_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct pairs);
}

static void pairs_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct pairs));
}

static weir_status pairs_update(const struct weir_aggregate_call *call,
                                struct weir_aggregate_memory *memory,
                                const struct weir_vector *arguments, const uint32_t *rows,
                                uint32_t count, uint8_t *const *states, uint32_t offset,
                                struct weir_error *reterr)
{
    struct weir_lane lane_y = weir_lane_of(&arguments[0]), lane_x = weir_lane_of(&arguments[1]);
    const double *values_y = lane_y.flat->values, *values_x = lane_x.flat->values;
    (void)call;
    (void)memory;
    (void)reterr;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        struct pairs *pairs = pairs_at(states[i] + offset);
        if (!weir_lane_valid(&lane_y, row) || !weir_lane_valid(&lane_x, row))
            continue;
        double y = values_y[weir_lane(&lane_y, row)], x = values_x[weir_lane(&lane_x, row)];
        double off_y = y - pairs->mean_y, off_x = x - pairs->mean_x;
        pairs->count++;
        pairs->mean_y += off_y / pairs->count;
        pairs->mean_x += off_x / pairs->count;
        pairs->yy += off_y * (y - pairs->mean_y);
        pairs->xx += off_x * (x - pairs->mean_x);
        pairs->xy += off_x * (y - pairs->mean_y);
    }
    return WEIR_OK;
}

static bool join_pairs(uint8_t *into, const uint8_t *from)
{
    struct pairs *a = pairs_at(into);
    const struct pairs *b = (const struct pairs *)(const void *)from;
    if (b->count == 0)
        return true;
    if (a->count == 0) {
        *a = *b;
        return true;
    }
    double count = a->count + b->count, weight = a->count * b->count / count;
    double off_y = b->mean_y - a->mean_y, off_x = b->mean_x - a->mean_x;
    a->yy += b->yy + off_y * off_y * weight;
    a->xx += b->xx + off_x * off_x * weight;
    a->xy += b->xy + off_x * off_y * weight;
    a->mean_y += off_y * b->count / count;
    a->mean_x += off_x * b->count / count;
    a->count = count;
    return true;
}

static weir_status pairs_combine(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory, uint8_t *const *into,
                                 uint8_t *const *from, uint32_t count, uint32_t offset,
                                 struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    fold_pairs(into, from, count, offset, join_pairs);
    return WEIR_OK;
}

/* What the function of that name is of the pairs; false = null. */
typedef bool (*measure)(const struct pairs *pairs, double *ret);

static bool measure_covar_pop(const struct pairs *pairs, double *ret)
{
    *ret = pairs->xy / pairs->count;
    return pairs->count > 0;
}
static bool measure_covar_samp(const struct pairs *pairs, double *ret)
{
    *ret = pairs->xy / (pairs->count - 1);
    return pairs->count > 1;
}
static bool measure_corr(const struct pairs *pairs, double *ret)
{
    *ret = pairs->xy / (sqrt(pairs->xx) * sqrt(pairs->yy));
    *ret = *ret > 1 ? 1 : *ret < -1 ? -1 : *ret;
    return pairs->count > 0 && pairs->xx != 0 && pairs->yy != 0;
}
static bool measure_slope(const struct pairs *pairs, double *ret)
{
    *ret = pairs->xy / pairs->xx;
    return pairs->count > 0 && pairs->xx != 0;
}
static bool measure_intercept(const struct pairs *pairs, double *ret)
{
    *ret = pairs->mean_y - pairs->xy / pairs->xx * pairs->mean_x;
    return pairs->count > 0 && pairs->xx != 0;
}
static bool measure_r2(const struct pairs *pairs, double *ret)
{
    if (pairs->count <= 0 || pairs->xx == 0)
        return false;
    *ret = pairs->yy == 0 ? 1 : pairs->xy * pairs->xy / (pairs->xx * pairs->yy);
    return true;
}
static bool measure_avgx(const struct pairs *pairs, double *ret)
{
    *ret = pairs->mean_x;
    return pairs->count > 0;
}
static bool measure_avgy(const struct pairs *pairs, double *ret)
{
    *ret = pairs->mean_y;
    return pairs->count > 0;
}
static bool measure_sxx(const struct pairs *pairs, double *ret)
{
    *ret = pairs->xx;
    return pairs->count > 0;
}
static bool measure_syy(const struct pairs *pairs, double *ret)
{
    *ret = pairs->yy;
    return pairs->count > 0;
}
static bool measure_sxy(const struct pairs *pairs, double *ret)
{
    *ret = pairs->xy;
    return pairs->count > 0;
}

static weir_status measure_all(const struct weir_aggregate_call *call, uint8_t *const *states,
                               uint32_t offset, uint32_t count, struct weir_arena *arena,
                               measure measured, struct weir_vector *ret_vector,
                               struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++)
        if (!measured(pairs_at(states[i] + offset), &((double *)made.values)[i]))
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
    *ret_vector = made;
    return WEIR_OK;
}

#define TWO_VARIABLES(function_name, measured, text)                                               \
    static weir_status finalize_##function_name(                                                   \
        const struct weir_aggregate_call *call, uint8_t *const *states, uint32_t offset,           \
        uint32_t count, struct weir_arena *arena, struct weir_vector *ret_vector,                  \
        struct weir_error *reterr)                                                                 \
    {                                                                                              \
        return measure_all(call, states, offset, count, arena, measured, ret_vector, reterr);      \
    }                                                                                              \
    const struct weir_aggregate_function aggregate_##function_name = {                             \
        .name = #function_name,                                                                    \
        .signature = #function_name "(y, x) -> double",                                            \
        .doc = text,                                                                               \
        .argument_min = 2,                                                                         \
        .argument_max = 2,                                                                         \
        .bind = aggregate_bind_doubles,                                                            \
        .state_size = pairs_size,                                                                  \
        .init = pairs_init,                                                                        \
        .update = pairs_update,                                                                    \
        .combine = pairs_combine,                                                                  \
        .finalize = finalize_##function_name}
TWO_VARIABLES(covar_pop, measure_covar_pop, "Covariance of pairs without nulls (divided by n).");
TWO_VARIABLES(covar_samp, measure_covar_samp,
              "Covariance of a sample (divided by n - 1); null below two pairs.");
TWO_VARIABLES(corr, measure_corr, "Correlation; null if y or x never varies.");
TWO_VARIABLES(regr_slope, measure_slope, "Slope of the line of least squares.");
TWO_VARIABLES(regr_intercept, measure_intercept, "Where the line of least squares meets x = 0.");
TWO_VARIABLES(regr_r2, measure_r2, "Square of the correlation; 1 if y never varies.");
TWO_VARIABLES(regr_avgx, measure_avgx, "Mean of x over pairs without nulls.");
TWO_VARIABLES(regr_avgy, measure_avgy, "Mean of y over pairs without nulls.");
TWO_VARIABLES(regr_sxx, measure_sxx, "Sum of squared differences of x to its mean.");
TWO_VARIABLES(regr_syy, measure_syy, "Sum of squared differences of y to its mean.");
TWO_VARIABLES(regr_sxy, measure_sxy,
              "Sum of products of the differences of x and y to their means.");

static weir_status regr_count_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                                   struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_doubles(arena, call, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static weir_status regr_count_finalize(const struct weir_aggregate_call *call,
                                       uint8_t *const *states, uint32_t offset, uint32_t count,
                                       struct weir_arena *arena, struct weir_vector *ret_vector,
                                       struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++)
        ((int64_t *)made.values)[i] = (int64_t)pairs_at(states[i] + offset)->count;
    *ret_vector = made;
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_regr_count = {
    .name = "regr_count",
    .signature = "regr_count(y, x) -> long",
    .doc = "Number of pairs without nulls.",
    .argument_min = 2,
    .argument_max = 2,
    .bind = regr_count_bind,
    .state_size = pairs_size,
    .init = pairs_init,
    .update = pairs_update,
    .combine = pairs_combine,
    .finalize = regr_count_finalize};
