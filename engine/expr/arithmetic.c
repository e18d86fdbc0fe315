/* + - * / % and signs: integers, doubles, exact decimals; dates and intervals. */
#include "engine/expr/function_int.h"

#include <math.h>
#include <string.h>

#define DAY 86400000000LL

/* ---- types ---- */

static bool is_moment(const struct weir_type *type)
{
    return type->id == WEIR_DATE || type->id == WEIR_TIMESTAMP || type->id == WEIR_TIMESTAMPTZ;
}

static weir_status as_type(struct weir_arena *arena, struct weir_node *call, uint32_t argument,
                           const struct weir_type *type, struct weir_error *reterr)
{
    return weir_node_cast(arena, call->arguments[argument], type, true, false,
                          &call->arguments[argument], reterr);
}

/* Integers as the decimals they are. */
static struct weir_type decimal_of(const struct weir_type *type)
{
    if (type->id == WEIR_INT)
        return (struct weir_type){.id = WEIR_DECIMAL, .precision = 10};
    if (type->id == WEIR_LONG)
        return (struct weir_type){.id = WEIR_DECIMAL, .precision = 19};
    return *type;
}

static uint8_t at_most(int precision)
{
    return (uint8_t)(precision > 38 ? 38 : precision);
}

static weir_status bind_decimal(struct weir_arena *arena, struct weir_node *call, char operation,
                                struct weir_error *reterr)
{
    struct weir_type a = decimal_of(&call->arguments[0]->type),
                     b = decimal_of(&call->arguments[1]->type);
    call->type = (struct weir_type){.id = WEIR_DECIMAL};
    if (operation == '*') {
        if (a.scale + b.scale > 38)
            return weir_fail(reterr, WEIR_USAGE,
                             "a product with %d digits behind the point: decimals have up to 38; "
                             "cast one side to double or to fewer",
                             a.scale + b.scale);
        call->type.precision = at_most(a.precision + b.precision);
        call->type.scale = (uint8_t)(a.scale + b.scale);
        WEIR_TRY(as_type(arena, call, 0, &a, reterr));
        return as_type(arena, call, 1, &b, reterr);
    }
    int scale = a.scale > b.scale ? a.scale : b.scale;
    int whole = a.precision - a.scale > b.precision - b.scale ? a.precision - a.scale
                                                              : b.precision - b.scale;
    struct weir_type both = {
        .id = WEIR_DECIMAL, .precision = at_most(whole + scale), .scale = (uint8_t)scale};
    WEIR_TRY(as_type(arena, call, 0, &both, reterr));
    WEIR_TRY(as_type(arena, call, 1, &both, reterr));
    call->type = both;
    if (operation != '%')
        call->type.precision = at_most(whole + scale + 1);
    return WEIR_OK;
}

/* date + int, timestamp + interval, timestamp - timestamp, ... */
static weir_status bind_moment(struct weir_arena *arena, struct weir_node *call, char operation,
                               struct weir_error *reterr)
{
    static const struct weir_type interval = {.id = WEIR_INTERVAL}, stamp = {.id = WEIR_TIMESTAMP},
                                  zoned = {.id = WEIR_TIMESTAMPTZ}, number = {.id = WEIR_INT},
                                  real = {.id = WEIR_DOUBLE};
    struct weir_node **side = call->arguments;
    enum weir_type_id a = side[0]->type.id, b = side[1]->type.id;
    if (operation == '+' && (is_moment(&side[1]->type) || b == WEIR_TIME) && a == WEIR_INTERVAL) {
        struct weir_node *swap = side[0];
        side[0] = side[1];
        side[1] = swap;
        return bind_moment(arena, call, operation, reterr);
    }
    if ((operation == '*' || operation == '/') && (a == WEIR_INTERVAL || b == WEIR_INTERVAL)) {
        call->type = interval;
        if (operation == '*' && b == WEIR_INTERVAL) {
            struct weir_node *swap = side[0];
            side[0] = side[1];
            side[1] = swap;
        }
        return as_type(arena, call, 1, &real, reterr);
    }
    if (side[1]->unknown && (a == WEIR_INTERVAL || a == WEIR_TIMESTAMP || a == WEIR_TIMESTAMPTZ))
        WEIR_TRY(as_type(arena, call, 1, operation == '+' ? &interval : &side[0]->type, reterr));
    b = side[1]->type.id;
    if (a == WEIR_INTERVAL && b == WEIR_INTERVAL) {
        call->type = interval;
    } else if (b == WEIR_INTERVAL && (is_moment(&side[0]->type) || a == WEIR_TIME)) {
        if (a == WEIR_DATE)
            WEIR_TRY(as_type(arena, call, 0, &stamp, reterr));
        call->type = side[0]->type;
    } else if (a == WEIR_DATE && type_is_integer(&side[1]->type)) {
        WEIR_TRY(weir_node_cast(arena, side[1], &number, false, false, &side[1], reterr));
        call->type = side[0]->type;
    } else if (operation == '+' && b == WEIR_DATE && type_is_integer(&side[0]->type)) {
        struct weir_node *swap = side[0];
        side[0] = side[1];
        WEIR_TRY(weir_node_cast(arena, swap, &number, false, false, &side[1], reterr));
        call->type = side[0]->type;
    } else if (operation == '-' && a == WEIR_DATE && b == WEIR_DATE) {
        call->type = number;
    } else if (operation == '-' && a == WEIR_TIME && b == WEIR_TIME) {
        call->type = interval;
    } else if (operation == '+' && a == WEIR_DATE && b == WEIR_TIME) {
        call->type = stamp;
        WEIR_TRY(as_type(arena, call, 0, &stamp, reterr));
    } else if (operation == '-' && is_moment(&side[0]->type) && is_moment(&side[1]->type)) {
        bool zone = a == WEIR_TIMESTAMPTZ || b == WEIR_TIMESTAMPTZ;
        WEIR_TRY(as_type(arena, call, 0, zone ? &zoned : &stamp, reterr));
        WEIR_TRY(as_type(arena, call, 1, zone ? &zoned : &stamp, reterr));
        call->type = interval;
    } else {
        return bind_wrong(call, reterr);
    }
    return WEIR_OK;
}

static weir_status bind_sign(struct weir_node *call, struct weir_error *reterr)
{
    if (!type_is_number(&call->arguments[0]->type) && call->arguments[0]->type.id != WEIR_INTERVAL)
        return bind_wrong(call, reterr);
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

static weir_status bind_arithmetic(struct weir_arena *arena, struct weir_node *call,
                                   struct weir_error *reterr)
{
    static const struct weir_type real = {.id = WEIR_DOUBLE};
    char operation = call->function->name[0];
    struct weir_node **side = call->arguments;
    if (call->argument_count == 1)
        return bind_sign(call, reterr);
    for (int i = 0; i < 2; i++)
        if (side[i]->unknown && type_is_number(&side[!i]->type))
            WEIR_TRY(as_type(arena, call, (uint32_t)i, &side[!i]->type, reterr));
    const struct weir_type *a = &side[0]->type, *b = &side[1]->type;
    if (!type_is_number(a) || !type_is_number(b))
        return bind_moment(arena, call, operation, reterr);
    bool reals = a->id == WEIR_FLOAT || a->id == WEIR_DOUBLE || b->id == WEIR_FLOAT ||
                 b->id == WEIR_DOUBLE;
    if (!reals && (a->id == WEIR_DECIMAL || b->id == WEIR_DECIMAL)) {
        if (operation != '/')
            return bind_decimal(arena, call, operation, reterr);
        reals = true; /* a quotient has no exact scale: a double, as DuckDB has it */
    }
    if (reals) {
        call->type = real;
    } else {
        call->type.id = a->id == WEIR_INT && b->id == WEIR_INT ? WEIR_INT : WEIR_LONG;
    }
    struct weir_type common = call->type;
    WEIR_TRY(as_type(arena, call, 0, &common, reterr));
    return as_type(arena, call, 1, &common, reterr);
}

/* ---- numbers ---- */

static weir_status out_of_range(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *ret, uint32_t row, bool by_zero,
                                struct weir_error *reterr)
{
    if (ret->validity && !weir_bit_get(ret->validity, row))
        return WEIR_OK;
    return weir_evaluation_fail(evaluation, call, row, reterr,
                                by_zero ? "division by zero" : "%s out of range",
                                weir_type_name(call->type.id));
}

#define INTEGER_LOOPS(T, name)                                                                     \
    static weir_status name(struct weir_evaluation *evaluation, const struct weir_node *call,      \
                            char operation, const T *restrict a, size_t sa, const T *restrict b,   \
                            size_t sb, T *restrict out, const struct weir_vector *ret,             \
                            struct weir_error *reterr)                                             \
    {                                                                                              \
        uint32_t count = evaluation->count;                                                        \
        bool bad = false;                                                                          \
        switch (operation) {                                                                       \
        case '+':                                                                                  \
            for (uint32_t i = 0; i < count; i++)                                                   \
                bad |= __builtin_add_overflow(a[i * sa], b[i * sb], &out[i]);                      \
            break;                                                                                 \
        case '-':                                                                                  \
            for (uint32_t i = 0; i < count; i++)                                                   \
                bad |= __builtin_sub_overflow(a[i * sa], b[i * sb], &out[i]);                      \
            break;                                                                                 \
        case '*':                                                                                  \
            for (uint32_t i = 0; i < count; i++)                                                   \
                bad |= __builtin_mul_overflow(a[i * sa], b[i * sb], &out[i]);                      \
            break;                                                                                 \
        default:                                                                                   \
            for (uint32_t i = 0; i < count; i++) {                                                 \
                T x = a[i * sa], y = b[i * sb];                                                    \
                T none = 0, least = (T)((T)1 << (sizeof(T) * 8 - 2)) * -2;                         \
                out[i] = 0;                                                                        \
                if (y == none || (y == -1 && x == least && operation == '/'))                      \
                    WEIR_TRY(out_of_range(evaluation, call, ret, i, y == none, reterr));           \
                else if (y == -1)                                                                  \
                    out[i] = operation == '/' ? (T)-x : none;                                      \
                else                                                                               \
                    out[i] = (T)(operation == '/' ? x / y : x % y);                                \
            }                                                                                      \
            return WEIR_OK;                                                                        \
        }                                                                                          \
        for (uint32_t i = 0; bad && i < count; i++) {                                              \
            T sum;                                                                                 \
            bool over = operation == '+'   ? __builtin_add_overflow(a[i * sa], b[i * sb], &sum)    \
                        : operation == '-' ? __builtin_sub_overflow(a[i * sa], b[i * sb], &sum)    \
                                           : __builtin_mul_overflow(a[i * sa], b[i * sb], &sum);   \
            if (over)                                                                              \
                WEIR_TRY(out_of_range(evaluation, call, ret, i, false, reterr));                   \
        }                                                                                          \
        return WEIR_OK;                                                                            \
    }

INTEGER_LOOPS(int32_t, int_loops)
INTEGER_LOOPS(int64_t, long_loops)

static weir_status real_loops(struct weir_evaluation *evaluation, const struct weir_node *call,
                              char operation, const double *restrict a, size_t sa,
                              const double *restrict b, size_t sb, double *restrict out,
                              const struct weir_vector *ret, struct weir_error *reterr)
{
    uint32_t count = evaluation->count;
    bool odd = false;
    switch (operation) {
    case '+':
        for (uint32_t i = 0; i < count; i++)
            out[i] = a[i * sa] + b[i * sb];
        break;
    case '-':
        for (uint32_t i = 0; i < count; i++)
            out[i] = a[i * sa] - b[i * sb];
        break;
    case '*':
        for (uint32_t i = 0; i < count; i++)
            out[i] = a[i * sa] * b[i * sb];
        break;
    case '/':
        for (uint32_t i = 0; i < count; i++)
            out[i] = a[i * sa] / b[i * sb];
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            out[i] = fmod(a[i * sa], b[i * sb]);
        break;
    }
    for (uint32_t i = 0; i < count; i++)
        odd |= !isfinite(out[i]);
    for (uint32_t i = 0; odd && i < count; i++) {
        double x = a[i * sa], y = b[i * sb];
        bool by_zero = (operation == '/' || operation == '%') && y == 0;
        if (by_zero || (isinf(out[i]) && !isinf(x) && !isinf(y)))
            WEIR_TRY(out_of_range(evaluation, call, ret, i, by_zero, reterr));
    }
    return WEIR_OK;
}

/* ---- decimals ---- */

static const weir_int128 limit38 = (weir_int128)1000000000000000000LL * 1000000000000000000LL * 100;

static bool all_narrow(const weir_int128 *values, size_t stride, uint32_t count)
{
    uint64_t odd = 0;
    for (uint32_t i = 0; i < count; i++) {
        weir_int128 value = values[i * stride];
        odd |= (uint64_t)(value >> 64) ^ (uint64_t)((int64_t)value >> 63);
    }
    return odd == 0;
}

static void narrow_product(const weir_int128 *restrict a, size_t sa, const weir_int128 *restrict b,
                           size_t sb, uint32_t count, weir_int128 *restrict out)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = (weir_int128)(int64_t)a[i * sa] * (int64_t)b[i * sb];
}

static weir_status wide_loop(struct weir_evaluation *evaluation, const struct weir_node *call,
                             char operation, const weir_int128 *a, size_t sa, const weir_int128 *b,
                             size_t sb, weir_int128 *out, const struct weir_vector *ret,
                             struct weir_error *reterr)
{
    for (uint32_t i = 0; i < evaluation->count; i++) {
        weir_int128 x = a[i * sa], y = b[i * sb], value = 0;
        bool bad = false, by_zero = operation == '%' && y == 0;
        if (operation == '%')
            value = by_zero ? 0 : x % y;
        else
            bad = operation == '+'   ? __builtin_add_overflow(x, y, &value)
                  : operation == '-' ? __builtin_sub_overflow(x, y, &value)
                                     : __builtin_mul_overflow(x, y, &value);
        bad = bad || value >= limit38 || value <= -limit38;
        out[i] = bad ? 0 : value;
        if (bad || by_zero)
            WEIR_TRY(out_of_range(evaluation, call, ret, i, by_zero, reterr));
    }
    return WEIR_OK;
}

static weir_status decimal_loops(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 char operation, const weir_int128 *a, size_t sa,
                                 const weir_int128 *b, size_t sb, weir_int128 *out,
                                 const struct weir_vector *ret, struct weir_error *reterr)
{
    const struct weir_type *x = &call->arguments[0]->type, *y = &call->arguments[1]->type;
    uint32_t count = evaluation->count;
    if (operation == '*') {
        bool narrow = (x->precision <= 18 || all_narrow(a, sa, count)) &&
                      (y->precision <= 18 || all_narrow(b, sb, count));
        if (narrow) { /* 63 bits times 63 bits are below 10^38 */
            narrow_product(a, sa, b, sb, count, out);
            return WEIR_OK;
        }
    } else if (operation != '%' && x->precision < 38 && y->precision < 38) {
        if (operation == '+')
            for (uint32_t i = 0; i < count; i++)
                out[i] = a[i * sa] + b[i * sb];
        else
            for (uint32_t i = 0; i < count; i++)
                out[i] = a[i * sa] - b[i * sb];
        return WEIR_OK;
    }
    return wide_loop(evaluation, call, operation, a, sa, b, sb, out, ret, reterr);
}

/* ---- moments ---- */

static bool add_months(int64_t *micros, int64_t months)
{
    int64_t days = *micros / DAY, rest = *micros % DAY, year;
    unsigned month, day;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    weir_days_to_civil(days, &year, &month, &day);
    int64_t all = year * 12 + (int64_t)month - 1 + months;
    year = all >= 0 ? all / 12 : -((11 - all) / 12);
    month = (unsigned)(all - year * 12) + 1;
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    unsigned last = lengths[month - 1] + (month == 2 && leap);
    if (year > 290000 || year < -290000)
        return false;
    *micros = weir_days_from_civil(year, month, day < last ? day : last) * DAY + rest;
    return true;
}

static bool shift(int64_t micros, const struct weir_interval *by, bool minus, int64_t *ret)
{
    int64_t months = minus ? -(int64_t)by->months : by->months,
            days = minus ? -(int64_t)by->days : by->days, rest;
    if (months && !add_months(&micros, months))
        return false;
    if (minus && by->micros == INT64_MIN)
        return false;
    rest = minus ? -by->micros : by->micros;
    return !__builtin_mul_overflow(days, DAY, &days) &&
           !__builtin_add_overflow(micros, days, &micros) &&
           !__builtin_add_overflow(micros, rest, ret);
}

static bool interval_times(const struct weir_interval *a, double by, struct weir_interval *ret)
{
    double months = a->months * by, days = a->days * by + (months - trunc(months)) * 30,
           micros = (double)a->micros * by + (days - trunc(days)) * (double)DAY;
    if (!(fabs(months) < 2e9) || !(fabs(days) < 2e9) || !(fabs(micros) < 9e18))
        return false;
    *ret = (struct weir_interval){(int32_t)trunc(months), (int32_t)trunc(days),
                                  (int64_t)rint(micros)};
    return true;
}

static void read_interval(const struct weir_lane *lane, uint32_t row, struct weir_interval *ret)
{
    memcpy(ret, (const uint8_t *)lane->flat->values + (size_t)weir_lane(lane, row) * 16, 16);
}

static bool moment_row(const struct weir_node *call, char operation, const struct weir_lane *x,
                       const struct weir_lane *y, uint32_t row, void *out)
{
    enum weir_type_id a = call->arguments[0]->type.id, b = call->arguments[1]->type.id;
    uint32_t at = weir_lane(x, row), bt = weir_lane(y, row);
    struct weir_interval left, right, made;
    bool minus = operation == '-', good = true;
    if (a == WEIR_INTERVAL) {
        read_interval(x, row, &left);
        if (b == WEIR_DOUBLE) {
            double by = ((const double *)y->flat->values)[bt];
            good = (operation != '/' || by != 0) &&
                   interval_times(&left, operation == '/' ? 1 / by : by, &made);
        } else {
            read_interval(y, row, &right);
            good = !(minus ? __builtin_sub_overflow(left.months, right.months, &made.months)
                           : __builtin_add_overflow(left.months, right.months, &made.months)) &&
                   !(minus ? __builtin_sub_overflow(left.days, right.days, &made.days)
                           : __builtin_add_overflow(left.days, right.days, &made.days)) &&
                   !(minus ? __builtin_sub_overflow(left.micros, right.micros, &made.micros)
                           : __builtin_add_overflow(left.micros, right.micros, &made.micros));
        }
        if (good)
            memcpy((struct weir_interval *)out + row, &made, sizeof made);
        return good;
    }
    if (a == WEIR_DATE) {
        int32_t day = ((const int32_t *)x->flat->values)[at],
                other = ((const int32_t *)y->flat->values)[bt];
        return !(minus ? __builtin_sub_overflow(day, other, (int32_t *)out + row)
                       : __builtin_add_overflow(day, other, (int32_t *)out + row));
    }
    int64_t micros = ((const int64_t *)x->flat->values)[at];
    if (b == WEIR_TIME && !minus) /* date + time */
        return !__builtin_add_overflow(micros, ((const int64_t *)y->flat->values)[bt],
                                       (int64_t *)out + row);
    if (b != WEIR_INTERVAL) {
        int64_t difference;
        if (__builtin_sub_overflow(micros, ((const int64_t *)y->flat->values)[bt], &difference))
            return false;
        made = (struct weir_interval){0, (int32_t)(difference / DAY), difference % DAY};
        memcpy((struct weir_interval *)out + row, &made, sizeof made);
        return true;
    }
    read_interval(y, row, &right);
    if (a == WEIR_TIME) {
        int64_t moved = micros + (minus ? -(right.micros % DAY) : right.micros % DAY);
        ((int64_t *)out)[row] = ((moved % DAY) + DAY) % DAY;
        return true;
    }
    return shift(micros, &right, minus, (int64_t *)out + row);
}

static weir_status moment_loops(struct weir_evaluation *evaluation, const struct weir_node *call,
                                char operation, const struct weir_vector *arguments,
                                struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_lane x = weir_lane_of(&arguments[0]), y = weir_lane_of(&arguments[1]);
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (ret->validity && !weir_bit_get(ret->validity, i))
            continue;
        if (!moment_row(call, operation, &x, &y, i, ret->values))
            WEIR_TRY(out_of_range(evaluation, call, ret, i, false, reterr));
    }
    return WEIR_OK;
}

/* ---- all of them ---- */

static weir_status evaluate_sign(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *argument, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(argument);
    const void *values = lane.flat->values;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&lane, i);
        bool bad = false;
        struct weir_interval interval;
        if (ret->validity && !weir_bit_get(ret->validity, i))
            continue;
        switch (call->type.id) {
        case WEIR_INT:
            bad = __builtin_sub_overflow(0, ((const int32_t *)values)[at],
                                         (int32_t *)ret->values + i);
            break;
        case WEIR_LONG:
            bad = __builtin_sub_overflow((int64_t)0, ((const int64_t *)values)[at],
                                         (int64_t *)ret->values + i);
            break;
        case WEIR_FLOAT: ((float *)ret->values)[i] = -((const float *)values)[at]; break;
        case WEIR_DOUBLE: ((double *)ret->values)[i] = -((const double *)values)[at]; break;
        case WEIR_DECIMAL:
            ((weir_int128 *)ret->values)[i] = -((const weir_int128 *)values)[at];
            break;
        default:
            read_interval(&lane, i, &interval);
            interval = (struct weir_interval){-interval.months, -interval.days, -interval.micros};
            memcpy((struct weir_interval *)ret->values + i, &interval, sizeof interval);
            break;
        }
        if (bad)
            WEIR_TRY(out_of_range(evaluation, call, ret, i, false, reterr));
    }
    return WEIR_OK;
}

static weir_status evaluate_arithmetic(struct weir_evaluation *evaluation,
                                       const struct weir_node *call,
                                       const struct weir_vector *arguments, struct weir_vector *ret,
                                       struct weir_error *reterr)
{
    char operation = call->function->name[0];
    struct weir_vector side[2];
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    if (call->argument_count == 1)
        return evaluate_sign(evaluation, call, arguments, ret, reterr);
    if (!type_is_number(&call->type) || !type_is_number(arguments[0].type))
        return moment_loops(evaluation, call, operation, arguments, ret, reterr);
    for (int i = 0; i < 2; i++) {
        side[i] = arguments[i];
        if (side[i].kind == WEIR_DICTIONARY)
            WEIR_TRY(weir_vector_flatten(evaluation->arena, &arguments[i], &side[i], reterr));
    }
    size_t sa = side[0].kind != WEIR_CONSTANT, sb = side[1].kind != WEIR_CONSTANT;
    switch (call->type.id) {
    case WEIR_INT:
        return int_loops(evaluation, call, operation, side[0].values, sa, side[1].values, sb,
                         ret->values, ret, reterr);
    case WEIR_LONG:
        return long_loops(evaluation, call, operation, side[0].values, sa, side[1].values, sb,
                          ret->values, ret, reterr);
    case WEIR_DOUBLE:
        return real_loops(evaluation, call, operation, side[0].values, sa, side[1].values, sb,
                          ret->values, ret, reterr);
    default:
        return decimal_loops(evaluation, call, operation, side[0].values, sa, side[1].values, sb,
                             ret->values, ret, reterr);
    }
}

#define ARITHMETIC(name, signature, doc, least)                                                    \
    {                                                                                              \
        name, "numbers", signature, doc, WEIR_FUNCTION_STRICT, least, 2, bind_arithmetic,          \
            evaluate_arithmetic, NULL                                                              \
    }

const struct weir_function functions_arithmetic[] = {
    ARITHMETIC("+", "a + b", "sum; of dates, times and intervals too", 1),
    ARITHMETIC("-", "a - b, -a", "difference, opposite; of dates, times and intervals too", 1),
    ARITHMETIC("*", "a * b", "product; exact for decimals", 2),
    ARITHMETIC("/", "a / b", "quotient; of integers cut towards zero, of decimals a double", 2),
    ARITHMETIC("%", "a % b", "remainder, with the sign of a", 2),
    {0},
};
