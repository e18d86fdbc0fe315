/* sum, avg, product. Integers and decimals are summed exactly, in 128 bits where 64 may not do. */
#include "engine/exec/functions_aggregate_int.h"

#include <math.h>

/* Of all of them; which member counts is told by the argument's type. */
struct sum {
    union {
        int64_t number;
        double real;
        state_int128 wide;
    };
    int64_t count; /* of values */
};

static inline struct sum *sum_at(uint8_t *state)
{
    return (struct sum *)(void *)state;
}
static inline const struct sum *const_sum_at(const uint8_t *state)
{
    return (const struct sum *)(const void *)state;
}

static uint32_t sum_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct sum);
}

static void sum_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct sum));
}

/* ---- a value into a state ---- */

static bool take_int(uint8_t *state, const void *values, uint32_t at)
{
    struct sum *sum = sum_at(state);
    sum->count++;
    return !__builtin_add_overflow(sum->number, ((const int32_t *)values)[at], &sum->number);
}

static bool take_long(uint8_t *state, const void *values, uint32_t at)
{
    struct sum *sum = sum_at(state);
    sum->count++;
    sum->wide += ((const int64_t *)values)[at]; /* 2^63 rows would overflow */
    return true;
}

static bool take_decimal(uint8_t *state, const void *values, uint32_t at)
{
    struct sum *sum = sum_at(state);
    weir_int128 total;
    bool fits = !__builtin_add_overflow(sum->wide, ((const weir_int128 *)values)[at], &total);
    sum->count++;
    sum->wide = total;
    return fits;
}

static bool take_float(uint8_t *state, const void *values, uint32_t at)
{
    struct sum *sum = sum_at(state);
    sum->count++;
    sum->real += (double)((const float *)values)[at];
    return true;
}

static bool take_double(uint8_t *state, const void *values, uint32_t at)
{
    struct sum *sum = sum_at(state);
    sum->count++;
    sum->real += ((const double *)values)[at];
    return true;
}

/* ---- many values into one state ---- */

static bool run_int(struct sum *sum, const void *values, uint32_t count)
{
    const int32_t *numbers = values;
    int64_t total = 0; /* 2^32 times 2^31 fit */
    for (uint32_t i = 0; i < count; i++)
        total += numbers[i];
    sum->count += count;
    return !__builtin_add_overflow(sum->number, total, &sum->number);
}

static bool run_long(struct sum *sum, const void *values, uint32_t count)
{
    const int64_t *numbers = values;
    weir_int128 total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += numbers[i];
    sum->count += count;
    sum->wide += total;
    return true;
}

static bool run_decimal(struct sum *sum, const void *values, uint32_t count)
{
    const weir_int128 *numbers = values;
    weir_int128 total = sum->wide;
    bool overflows = false;
    for (uint32_t i = 0; i < count; i++)
        overflows |= __builtin_add_overflow(total, numbers[i], &total);
    sum->count += count;
    sum->wide = total;
    return !overflows;
}

static bool run_double(struct sum *sum, const void *values, uint32_t count)
{
    const double *numbers = values;
    double total = sum->real;
    for (uint32_t i = 0; i < count; i++)
        total += numbers[i];
    sum->count += count;
    sum->real = total;
    return true;
}

static weir_status sum_update(const struct weir_aggregate_call *call,
                              struct weir_aggregate_memory *memory,
                              const struct weir_vector *arguments, const uint32_t *rows,
                              uint32_t count, uint8_t *const *states, uint32_t offset,
                              struct weir_error *reterr)
{
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    const void *values = fold.lane.flat->values;
    struct sum *one = aggregate_fold_is_run(&fold) ? sum_at(states[0] + offset) : NULL;
    bool fits = true;
    (void)memory;
    switch (call->arguments[0]->type.id) {
    case WEIR_INT: fits = one ? run_int(one, values, count) : fold_each(&fold, take_int); break;
    case WEIR_LONG: fits = one ? run_long(one, values, count) : fold_each(&fold, take_long); break;
    case WEIR_DECIMAL:
        fits = one ? run_decimal(one, values, count) : fold_each(&fold, take_decimal);
        break;
    case WEIR_FLOAT: fits = fold_each(&fold, take_float); break;
    default: fits = one ? run_double(one, values, count) : fold_each(&fold, take_double);
    }
    return fits ? WEIR_OK : aggregate_overflow(call, reterr);
}

static bool join_number(uint8_t *into, const uint8_t *from)
{
    sum_at(into)->count += const_sum_at(from)->count;
    return !__builtin_add_overflow(sum_at(into)->number, const_sum_at(from)->number,
                                   &sum_at(into)->number);
}

static bool join_wide(uint8_t *into, const uint8_t *from)
{
    weir_int128 total;
    bool fits = !__builtin_add_overflow(sum_at(into)->wide, const_sum_at(from)->wide, &total);
    sum_at(into)->count += const_sum_at(from)->count;
    sum_at(into)->wide = total;
    return fits;
}

static bool join_real(uint8_t *into, const uint8_t *from)
{
    sum_at(into)->count += const_sum_at(from)->count;
    sum_at(into)->real += const_sum_at(from)->real;
    return true;
}

static weir_status sum_combine(const struct weir_aggregate_call *call,
                               struct weir_aggregate_memory *memory, uint8_t *const *into,
                               uint8_t *const *from, uint32_t count, uint32_t offset,
                               struct weir_error *reterr)
{
    bool fits = true;
    (void)memory;
    switch (call->arguments[0]->type.id) {
    case WEIR_INT: fits = fold_pairs(into, from, count, offset, join_number); break;
    case WEIR_LONG:
    case WEIR_DECIMAL: fits = fold_pairs(into, from, count, offset, join_wide); break;
    default: fits = fold_pairs(into, from, count, offset, join_real);
    }
    return fits ? WEIR_OK : aggregate_overflow(call, reterr);
}

/* ---- sum ---- */

static weir_status sum_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                            struct weir_error *reterr)
{
    const struct weir_type *type = &call->arguments[0]->type;
    (void)arena;
    if (!aggregate_is_number(type) || call->arguments[0]->unknown)
        return aggregate_refuse_argument(call, 0, reterr);
    if (type->id == WEIR_INT)
        call->type = (struct weir_type){.id = WEIR_LONG};
    else if (type->id == WEIR_LONG || type->id == WEIR_DECIMAL)
        call->type = (struct weir_type){.id = WEIR_DECIMAL, .precision = 38, .scale = type->scale};
    else
        call->type = (struct weir_type){.id = WEIR_DOUBLE};
    return WEIR_OK;
}

/* 10^38: the first that decimal(38) does not hold. */
static weir_int128 decimal_limit(void)
{
    return (weir_int128)10000000000000000000u * 10000000000000000000u;
}

static weir_status sum_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                uint32_t offset, uint32_t count, struct weir_arena *arena,
                                struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    weir_int128 limit = decimal_limit();
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct sum *sum = sum_at(states[i] + offset);
        if (sum->count == 0)
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
        else if (call->type.id == WEIR_LONG)
            ((int64_t *)made.values)[i] = sum->number;
        else if (call->type.id == WEIR_DOUBLE)
            ((double *)made.values)[i] = sum->real;
        else if (sum->wide >= limit || sum->wide <= -limit)
            return aggregate_overflow(call, reterr);
        else
            ((weir_int128 *)made.values)[i] = sum->wide;
    }
    *ret_vector = made;
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_sum = {
    .name = "sum",
    .signature = "sum(int) -> long, sum(long) -> decimal(38,0), sum(decimal(p,s)) -> "
                 "decimal(38,s), sum(double) -> double",
    .doc = "Sum of the values that are not null; null without any. Exact for integers and "
           "decimals.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = sum_bind,
    .state_size = sum_size,
    .init = sum_init,
    .update = sum_update,
    .combine = sum_combine,
    .finalize = sum_finalize};

/* ---- avg ---- */

static weir_status avg_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                            struct weir_error *reterr)
{
    (void)arena;
    if (!aggregate_is_number(&call->arguments[0]->type) || call->arguments[0]->unknown)
        return aggregate_refuse_argument(call, 0, reterr);
    call->type = (struct weir_type){.id = WEIR_DOUBLE};
    return WEIR_OK;
}

#if defined(__x86_64__)
typedef __float128 quad; /* clang knows no other name for it */
#else
typedef _Float128 quad;
#endif

/* The exact sum divided once, in 113 bits, so that rounding to double is the only one that counts.
 */
static double exact_average(const struct sum *sum, const struct weir_type *type)
{
    quad divisor = (quad)sum->count;
    if (type->id == WEIR_INT)
        return (double)((quad)sum->number / divisor);
    for (int i = 0; i < type->scale; i++)
        divisor *= 10;
    return (double)((quad)sum->wide / divisor);
}

static weir_status avg_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                uint32_t offset, uint32_t count, struct weir_arena *arena,
                                struct weir_vector *ret_vector, struct weir_error *reterr)
{
    const struct weir_type *type = &call->arguments[0]->type;
    bool exact = type->id != WEIR_FLOAT && type->id != WEIR_DOUBLE;
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct sum *sum = sum_at(states[i] + offset);
        if (sum->count == 0)
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
        else
            ((double *)made.values)[i] = exact ? exact_average(sum, type)
                                               : sum->real / (double)sum->count;
    }
    *ret_vector = made;
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_avg = {
    .name = "avg",
    .signature = "avg(number) -> double",
    .doc = "Mean of the values that are not null; null without any. Integers and decimals are "
           "summed exactly and divided once.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = avg_bind,
    .state_size = sum_size,
    .init = sum_init,
    .update = sum_update,
    .combine = sum_combine,
    .finalize = avg_finalize};

/* ---- product ---- */

static void product_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    sum_init(call, state);
    sum_at(state)->real = 1;
}

static bool take_factor(uint8_t *state, const void *values, uint32_t at)
{
    struct sum *sum = sum_at(state);
    sum->count++;
    sum->real *= ((const double *)values)[at];
    return true;
}

static weir_status product_update(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory,
                                  const struct weir_vector *arguments, const uint32_t *rows,
                                  uint32_t count, uint8_t *const *states, uint32_t offset,
                                  struct weir_error *reterr)
{
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    (void)call;
    (void)memory;
    (void)reterr;
    fold_each(&fold, take_factor);
    return WEIR_OK;
}

static bool join_product(uint8_t *into, const uint8_t *from)
{
    sum_at(into)->count += const_sum_at(from)->count;
    sum_at(into)->real *= const_sum_at(from)->real;
    return true;
}

static weir_status product_combine(const struct weir_aggregate_call *call,
                                   struct weir_aggregate_memory *memory, uint8_t *const *into,
                                   uint8_t *const *from, uint32_t count, uint32_t offset,
                                   struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    fold_pairs(into, from, count, offset, join_product);
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_product = {
    .name = "product",
    .signature = "product(number) -> double",
    .doc = "Product of the values that are not null; null without any.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = aggregate_bind_doubles,
    .state_size = sum_size,
    .init = product_init,
    .update = product_update,
    .combine = product_combine,
    .finalize = sum_finalize};
