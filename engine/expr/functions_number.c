/* Functions of numbers. Integers and decimals stay exact where the result can be; everything else
 * is a double. */
#include "engine/expr/function_int.h"

#include <math.h>
#include <string.h>

#include <sys/random.h>

static bool row_valid(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

/* ---- doubles ---- */

static double sign_of(double x)
{
    return isnan(x) ? x : (x > 0) - (x < 0);
}
static double to_degrees(double x)
{
    return x * (180 / M_PI);
}
static double to_radians(double x)
{
    return x * (M_PI / 180);
}
static double cotangent(double x)
{
    return 1 / tan(x);
}

static const struct real_function {
    const char *name;
    double (*one)(double);
    double (*two)(double, double);
} real_functions[] = {
    {"abs", fabs, NULL},
    {"ceil", ceil, NULL},
    {"ceiling", ceil, NULL},
    {"floor", floor, NULL},
    {"round", rint, NULL}, /* half to even, as PostgreSQL has it */
    {"trunc", trunc, NULL},
    {"sign", sign_of, NULL},
    {"sqrt", sqrt, NULL},
    {"cbrt", cbrt, NULL},
    {"exp", exp, NULL},
    {"ln", log, NULL},
    {"log", log10, NULL},
    {"log10", log10, NULL},
    {"log2", log2, NULL},
    {"sin", sin, NULL},
    {"cos", cos, NULL},
    {"tan", tan, NULL},
    {"cot", cotangent, NULL},
    {"asin", asin, NULL},
    {"acos", acos, NULL},
    {"atan", atan, NULL},
    {"sinh", sinh, NULL},
    {"cosh", cosh, NULL},
    {"tanh", tanh, NULL},
    {"degrees", to_degrees, NULL},
    {"radians", to_radians, NULL},
    {"power", NULL, pow},
    {"pow", NULL, pow},
    {"^", NULL, pow},
    {"atan2", NULL, atan2},
};

static const struct real_function *find_real(const char *name)
{
    for (size_t i = 0; i < sizeof real_functions / sizeof *real_functions; i++)
        if (strcmp(real_functions[i].name, name) == 0)
            return &real_functions[i];
    return NULL;
}

static weir_status bind_real(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_DOUBLE, reterr));
    call->type = (struct weir_type){.id = WEIR_DOUBLE};
    return WEIR_OK;
}

static weir_status evaluate_real(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    const struct real_function *function = find_real(call->function->name);
    struct weir_lane a = weir_lane_of(&arguments[0]),
                     b = weir_lane_of(&arguments[call->argument_count - 1]);
    const double *x = a.flat->values, *y = b.flat->values;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    double *out = ret->values;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        double left = x[weir_lane(&a, i)], right = y[weir_lane(&b, i)];
        if (!row_valid(ret, i)) {
            out[i] = 0;
            continue;
        }
        out[i] = function->one ? function->one(left) : function->two(left, right);
        if (!isfinite(out[i]) && isfinite(left) && isfinite(right))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          isnan(out[i]) || left == 0
                                              ? "%s is not defined for this number"
                                              : "%s: double out of range",
                                          function->name));
    }
    return WEIR_OK;
}

/* log(base, x) */
static weir_status evaluate_log(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    if (call->argument_count == 1)
        return evaluate_real(evaluation, call, arguments, ret, reterr);
    struct weir_lane a = weir_lane_of(&arguments[0]), b = weir_lane_of(&arguments[1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        double base = ((const double *)a.flat->values)[weir_lane(&a, i)],
               value = ((const double *)b.flat->values)[weir_lane(&b, i)],
               made = base > 0 && value > 0 ? log(value) / log(base) : NAN;
        ((double *)ret->values)[i] = made;
        if (row_valid(ret, i) && !isfinite(made) && isfinite(base) && isfinite(value))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          "log is not defined for this number"));
    }
    return WEIR_OK;
}

static weir_status evaluate_pi(struct weir_evaluation *evaluation, const struct weir_node *call,
                               const struct weir_vector *arguments, struct weir_vector *ret,
                               struct weir_error *reterr)
{
    (void)arguments;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        ((double *)ret->values)[i] = M_PI;
    return WEIR_OK;
}

static weir_status evaluate_random(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    (void)arguments;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    double *out = ret->values;
    for (uint32_t i = 0; i < evaluation->count; i += 32) { /* 256 bytes: never cut short */
        uint64_t bits[32];
        uint32_t size = evaluation->count - i < 32 ? evaluation->count - i : 32;
        if (getrandom(bits, sizeof bits, 0) != (ssize_t)sizeof bits)
            return weir_fail(reterr, WEIR_FAILED, "the system has no random numbers");
        for (uint32_t k = 0; k < size; k++)
            out[i + k] = (double)(bits[k] >> 11) * 0x1p-53;
    }
    return WEIR_OK;
}

/* isnan, isinf, isfinite */
static weir_status bind_real_test(struct weir_arena *arena, struct weir_node *call,
                                  struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_DOUBLE, reterr));
    call->type = (struct weir_type){.id = WEIR_BOOLEAN};
    return WEIR_OK;
}

static weir_status evaluate_real_test(struct weir_evaluation *evaluation,
                                      const struct weir_node *call,
                                      const struct weir_vector *arguments, struct weir_vector *ret,
                                      struct weir_error *reterr)
{
    char which = call->function->name[2];
    struct weir_lane a = weir_lane_of(&arguments[0]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        double x = ((const double *)a.flat->values)[weir_lane(&a, i)];
        if (which == 'n' ? isnan(x) : which == 'i' ? isinf(x) != 0 : isfinite(x))
            weir_bit_set(ret->values, i);
    }
    return WEIR_OK;
}

/* ---- abs, ceil, floor, round, trunc, sign: exact for integers and decimals ---- */

static weir_int128 power10(int digits)
{
    weir_int128 power = 1;
    while (digits-- > 0)
        power *= 10;
    return power;
}

/* Digits behind the point that a constant second argument asks for; without one 0. */
static bool constant_digits(const struct weir_node *call, int64_t *ret)
{
    *ret = 0;
    if (call->argument_count < 2)
        return true;
    const struct weir_node *digits = call->arguments[1];
    if (digits->kind != WEIR_NODE_CONSTANT || !weir_vector_valid(&digits->value, 0))
        return false;
    *ret = *(const int64_t *)digits->value.values;
    return true;
}

static weir_status bind_round(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    const struct weir_type *from = &call->arguments[0]->type;
    bool keeps = call->function->name[0] == 'a' || call->function->name[1] == 'i'; /* abs, sign */
    int64_t digits;
    if (call->argument_count == 2) {
        WEIR_TRY(bind_as(arena, call, 1, WEIR_LONG, reterr));
        WEIR_TRY(weir_node_fold(arena, call->arguments[1], &call->arguments[1], reterr));
    }
    if (type_is_integer(from)) {
        call->type = *from;
        return WEIR_OK;
    }
    if (from->id != WEIR_DECIMAL)
        return bind_real(arena, call, reterr);
    call->type = *from;
    if (keeps)
        return WEIR_OK;
    if (!constant_digits(call, &digits))
        digits = from->scale;
    int scale = digits < 0 ? 0 : digits < from->scale ? (int)digits : from->scale;
    int precision = from->precision - from->scale + scale + 1;
    call->type.scale = (uint8_t)scale;
    call->type.precision = (uint8_t)(precision > 38 ? 38 : precision);
    return WEIR_OK;
}

/* `value` cut to a multiple of 10^drop and divided by it: round, trunc, ceil or floor. */
static weir_int128 cut(weir_int128 value, int drop, char how)
{
    if (drop > 38)
        return how == 'c' ? value > 0 : how == 'f' ? -(value < 0) : 0;
    weir_int128 power = power10(drop), whole = value / power, rest = value % power;
    switch (how) {
    case 'c': return whole + (rest > 0);
    case 'f': return whole - (rest < 0);
    case 'r':
        if (rest >= power - rest && rest > 0)
            return whole + 1;
        return rest < 0 && -rest >= power + rest ? whole - 1 : whole;
    default: return whole;
    }
}

static char round_kind(const char *name)
{
    return name[0] == 's' && name[1] == 'i' ? 's' : name[0]; /* a c f r t s */
}

static weir_status evaluate_round_decimal(struct weir_evaluation *evaluation,
                                          const struct weir_node *call,
                                          const struct weir_vector *arguments,
                                          struct weir_vector *ret, struct weir_error *reterr)
{
    char how = round_kind(call->function->name);
    int scale = call->arguments[0]->type.scale, to = call->type.scale;
    weir_int128 limit = power10(call->type.precision), *out = ret->values;
    struct weir_lane a = weir_lane_of(&arguments[0]),
                     b = weir_lane_of(&arguments[call->argument_count - 1]);
    for (uint32_t i = 0; i < evaluation->count; i++) {
        weir_int128 value = ((const weir_int128 *)a.flat->values)[weir_lane(&a, i)];
        out[i] = 0;
        if (!row_valid(ret, i))
            continue;
        int64_t digits = call->argument_count == 2
                             ? ((const int64_t *)b.flat->values)[weir_lane(&b, i)]
                             : 0;
        digits = digits > scale ? scale : digits < -60 ? -60 : digits;
        if (how == 'a') {
            out[i] = value < 0 ? -value : value;
        } else if (how == 's') {
            out[i] = ((value > 0) - (value < 0)) * power10(scale);
        } else {
            int drop = scale - (int)digits;
            out[i] = cut(value, drop, how);
            int back = to - (int)digits;
            if (back > 0 && out[i])
                out[i] = back > 38 ? limit : out[i] * power10(back);
        }
        if (out[i] >= limit || out[i] <= -limit)
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "decimal out of range"));
    }
    return WEIR_OK;
}

static weir_status evaluate_round_integer(struct weir_evaluation *evaluation,
                                          const struct weir_node *call,
                                          const struct weir_vector *arguments,
                                          struct weir_vector *ret, struct weir_error *reterr)
{
    char how = round_kind(call->function->name);
    bool narrow = call->type.id == WEIR_INT;
    struct weir_lane a = weir_lane_of(&arguments[0]),
                     b = weir_lane_of(&arguments[call->argument_count - 1]);
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&a, i);
        weir_int128 value = narrow ? ((const int32_t *)a.flat->values)[at]
                                   : ((const int64_t *)a.flat->values)[at];
        int64_t digits = call->argument_count == 2
                             ? ((const int64_t *)b.flat->values)[weir_lane(&b, i)]
                             : 0;
        if (how == 'a')
            value = value < 0 ? -value : value;
        else if (how == 's')
            value = (value > 0) - (value < 0);
        else if (digits < 0)
            value = digits < -19 ? 0 : cut(value, (int)-digits, how) * power10((int)-digits);
        bool over = narrow ? value != (int32_t)value : value != (int64_t)value;
        if (narrow)
            ((int32_t *)ret->values)[i] = (int32_t)value;
        else
            ((int64_t *)ret->values)[i] = (int64_t)value;
        if (over && row_valid(ret, i))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s out of range",
                                          weir_type_name(call->type.id)));
    }
    return WEIR_OK;
}

static weir_status evaluate_round(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    if (call->type.id == WEIR_DOUBLE && call->argument_count == 1)
        return evaluate_real(evaluation, call, arguments, ret, reterr);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    if (call->type.id == WEIR_DECIMAL)
        return evaluate_round_decimal(evaluation, call, arguments, ret, reterr);
    if (call->type.id != WEIR_DOUBLE)
        return evaluate_round_integer(evaluation, call, arguments, ret, reterr);
    struct weir_lane a = weir_lane_of(&arguments[0]), b = weir_lane_of(&arguments[1]);
    for (uint32_t i = 0; i < evaluation->count; i++) { /* half away from zero, as DuckDB has it */
        double value = ((const double *)a.flat->values)[weir_lane(&a, i)],
               digits = ((const double *)b.flat->values)[weir_lane(&b, i)], power = pow(10, digits),
               made = call->function->name[0] == 't' ? trunc(value * power) / power
                                                     : round(value * power) / power;
        ((double *)ret->values)[i] = isfinite(made) ? made : value;
    }
    return WEIR_OK;
}

/* ---- integers ---- */

static weir_status bind_integers(struct weir_arena *arena, struct weir_node *call,
                                 struct weir_error *reterr)
{
    bool narrow = true;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        if (!type_is_integer(&call->arguments[i]->type) && !call->arguments[i]->unknown)
            return bind_wrong(call, reterr);
        narrow = narrow && call->arguments[i]->type.id == WEIR_INT;
    }
    call->type = (struct weir_type){.id = narrow ? WEIR_INT : WEIR_LONG};
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, call->type.id, reterr));
    return WEIR_OK;
}

static uint64_t common_divisor(int64_t a, int64_t b)
{
    uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    while (y) {
        uint64_t rest = x % y;
        x = y;
        y = rest;
    }
    return x;
}

/* false: out of range. Shifts beyond the width give 0 (the sign for >>). */
static bool integer_operation(const char *name, int64_t a, int64_t b, bool narrow, int64_t *ret)
{
    uint64_t divisor;
    int width = narrow ? 32 : 64;
    weir_int128 wide;
    switch (name[0]) {
    case '&': *ret = a & b; return true;
    case '|': *ret = a | b; return true;
    case '#': *ret = a ^ b; return true;
    case 'x': *ret = a ^ b; return true;
    case '~': *ret = ~a; return true;
    case '<':
        *ret = b < 0 || b >= width ? 0 : (int64_t)((uint64_t)a << b);
        if (narrow)
            *ret = (int32_t)*ret;
        return true;
    case '>': *ret = b < 0 ? 0 : a >> (b >= width ? width - 1 : b); return true;
    case 'g':
        divisor = common_divisor(a, b);
        *ret = (int64_t)divisor;
        return divisor <= (narrow ? (uint64_t)INT32_MAX : (uint64_t)INT64_MAX);
    default: /* lcm */
        divisor = common_divisor(a, b);
        wide = divisor ? (weir_int128)a / (weir_int128)divisor * b : 0;
        wide = wide < 0 ? -wide : wide;
        *ret = (int64_t)wide;
        return wide <= (narrow ? INT32_MAX : INT64_MAX);
    }
}

static weir_status evaluate_integers(struct weir_evaluation *evaluation,
                                     const struct weir_node *call,
                                     const struct weir_vector *arguments, struct weir_vector *ret,
                                     struct weir_error *reterr)
{
    bool narrow = call->type.id == WEIR_INT;
    struct weir_lane a = weir_lane_of(&arguments[0]),
                     b = weir_lane_of(&arguments[call->argument_count - 1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t p = weir_lane(&a, i), q = weir_lane(&b, i);
        int64_t made = 0;
        if (row_valid(ret, i) && !integer_operation(call->function->name,
                                                    narrow ? ((const int32_t *)a.flat->values)[p]
                                                           : ((const int64_t *)a.flat->values)[p],
                                                    narrow ? ((const int32_t *)b.flat->values)[q]
                                                           : ((const int64_t *)b.flat->values)[q],
                                                    narrow, &made))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s out of range",
                                          weir_type_name(call->type.id)));
        if (narrow)
            ((int32_t *)ret->values)[i] = (int32_t)made;
        else
            ((int64_t *)ret->values)[i] = made;
    }
    return WEIR_OK;
}

/* ~ a, and text ~ pattern */
static weir_status bind_tilde(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    struct weir_node *made;
    if (call->argument_count == 1)
        return bind_integers(arena, call, reterr);
    WEIR_TRY(
        weir_node_call(arena, "regexp_matches", call->arguments, 2, call->location, &made, reterr));
    *call = *made;
    return WEIR_OK;
}

/* mod(a, b), div(a, b): the operators under another name. */
static weir_status bind_operator(struct weir_arena *arena, struct weir_node *call,
                                 struct weir_error *reterr)
{
    const struct weir_function *operator= weir_function_find(call->function->name[0] == 'm' ? "%"
                                                                                            : "/");
    call->function = operator;
    return operator->bind(arena, call, reterr);
}

static weir_status bind_bucket(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    for (uint32_t i = 0; i < 3; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_DOUBLE, reterr));
    WEIR_TRY(bind_as(arena, call, 3, WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static weir_status evaluate_bucket(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    struct weir_lane lanes[4];
    for (int i = 0; i < 4; i++)
        lanes[i] = weir_lane_of(&arguments[i]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        double value[3];
        for (int k = 0; k < 3; k++)
            value[k] = ((const double *)lanes[k].flat->values)[weir_lane(&lanes[k], i)];
        int64_t count = ((const int64_t *)lanes[3].flat->values)[weir_lane(&lanes[3], i)],
                *out = (int64_t *)ret->values + i;
        bool down = value[1] > value[2];
        *out = 0;
        if (!row_valid(ret, i))
            continue;
        double from = down ? -value[1] : value[1], to = down ? -value[2] : value[2],
               at = down ? -value[0] : value[0];
        if (count <= 0 || count > INT32_MAX || !(from < to) || isnan(at) || isinf(from) ||
            isinf(to))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          "width_bucket takes two different bounds and a count"));
        else if (at >= to)
            *out = count + 1;
        else if (at >= from)
            *out = (int64_t)((at - from) / (to - from) * (double)count) + 1;
    }
    return WEIR_OK;
}

/* ---- greatest, least: nulls are passed over ---- */

static weir_status bind_greatest(struct weir_arena *arena, struct weir_node *call,
                                 struct weir_error *reterr)
{
    return weir_nodes_unify(arena, call->arguments, call->argument_count, call->function->name,
                            &call->type, reterr);
}

static weir_status evaluate_greatest(struct weir_evaluation *evaluation,
                                     const struct weir_node *call,
                                     const struct weir_vector *arguments, struct weir_vector *ret,
                                     struct weir_error *reterr)
{
    int sign = call->function->name[0] == 'g' ? 1 : -1;
    uint32_t *source;
    WEIR_TRY(weir_arena_zero(evaluation->arena, (size_t)evaluation->count + 1, sizeof *source,
                             &source, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        for (uint32_t a = 1; a < call->argument_count; a++) {
            const struct weir_vector *best = &arguments[source[i]], *other = &arguments[a];
            if (weir_vector_valid(other, i) &&
                (!weir_vector_valid(best, i) || weir_value_order(other, i, best, i) * sign > 0))
                source[i] = a;
        }
    return weir_vectors_choose(evaluation->arena, arguments, source, evaluation->count, &call->type,
                               ret, reterr);
}

/* ---- factorial, bit_count ---- */

static weir_status evaluate_whole(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    bool factorial = call->function->name[0] == 'f', narrow = arguments[0].type->id == WEIR_INT;
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&lane, i);
        int64_t value = narrow ? ((const int32_t *)lane.flat->values)[at]
                               : ((const int64_t *)lane.flat->values)[at],
                made = 1;
        bool bad = factorial && value < 0;
        if (!row_valid(ret, i))
            continue;
        for (int64_t n = 2; factorial && !bad && n <= value; n++)
            bad = __builtin_mul_overflow(made, n, &made);
        if (!factorial)
            made = __builtin_popcountll(narrow ? (uint64_t)(uint32_t)value : (uint64_t)value);
        ((int64_t *)ret->values)[i] = made;
        if (bad)
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s out of range",
                                          weir_type_name(call->type.id)));
    }
    return WEIR_OK;
}

static weir_status bind_whole(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    if (call->arguments[0]->type.id != WEIR_INT)
        WEIR_TRY(bind_as(arena, call, 0, WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

#define NUMBER(name, signature, doc, least, most, bind, evaluate)                                  \
    {                                                                                              \
        name, "numbers", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate, NULL   \
    }
#define REAL(name, doc) NUMBER(name, name "(x)", doc, 1, 1, bind_real, evaluate_real)
#define BITS(name, doc) NUMBER(name, "a " name " b", doc, 2, 2, bind_integers, evaluate_integers)

const struct weir_function functions_number[] = {
    NUMBER("abs", "abs(x)", "without its sign", 1, 1, bind_round, evaluate_round),
    NUMBER("ceil", "ceil(x)", "the next whole number upwards", 1, 1, bind_round, evaluate_round),
    NUMBER("ceiling", "ceiling(x)", "the next whole number upwards", 1, 1, bind_round,
           evaluate_round),
    NUMBER("floor", "floor(x)", "the next whole number downwards", 1, 1, bind_round,
           evaluate_round),
    NUMBER("round", "round(x, digits)",
           "to that many digits behind the point: half away from zero, a double without digits "
           "half to even",
           1, 2, bind_round, evaluate_round),
    NUMBER("trunc", "trunc(x, digits)", "without the digits beyond", 1, 2, bind_round,
           evaluate_round),
    NUMBER("sign", "sign(x)", "-1, 0 or 1", 1, 1, bind_round, evaluate_round),
    REAL("sqrt", "square root"),
    REAL("cbrt", "cube root"),
    REAL("exp", "e to the power of x"),
    REAL("ln", "natural logarithm"),
    NUMBER("log", "log(x) or log(base, x)", "logarithm, to base 10 without one", 1, 2, bind_real,
           evaluate_log),
    REAL("log10", "logarithm to base 10"),
    REAL("log2", "logarithm to base 2"),
    REAL("sin", "sine"),
    REAL("cos", "cosine"),
    REAL("tan", "tangent"),
    REAL("cot", "cotangent"),
    REAL("asin", "inverse sine"),
    REAL("acos", "inverse cosine"),
    REAL("atan", "inverse tangent"),
    REAL("sinh", "hyperbolic sine"),
    REAL("cosh", "hyperbolic cosine"),
    REAL("tanh", "hyperbolic tangent"),
    REAL("degrees", "radians to degrees"),
    REAL("radians", "degrees to radians"),
    NUMBER("power", "power(x, y)", "x to the power of y", 2, 2, bind_real, evaluate_real),
    NUMBER("pow", "pow(x, y)", "x to the power of y", 2, 2, bind_real, evaluate_real),
    NUMBER("^", "x ^ y", "x to the power of y", 2, 2, bind_real, evaluate_real),
    NUMBER("atan2", "atan2(y, x)", "the angle of a point", 2, 2, bind_real, evaluate_real),
    NUMBER("pi", "pi()", "3.14159...", 0, 0, bind_real, evaluate_pi),
    {"random", "numbers", "random()", "from 0 to below 1", WEIR_FUNCTION_VOLATILE, 0, 0, bind_real,
     evaluate_random, NULL},
    NUMBER("isnan", "isnan(x)", "whether it is no number", 1, 1, bind_real_test,
           evaluate_real_test),
    NUMBER("isinf", "isinf(x)", "whether it is infinite", 1, 1, bind_real_test, evaluate_real_test),
    NUMBER("isfinite", "isfinite(x)", "whether it is neither infinite nor no number", 1, 1,
           bind_real_test, evaluate_real_test),
    NUMBER("mod", "mod(a, b)", "the rest of a / b", 2, 2, bind_operator, evaluate_integers),
    NUMBER("div", "div(a, b)", "a / b", 2, 2, bind_operator, evaluate_integers),
    NUMBER("gcd", "gcd(a, b)", "greatest common divisor", 2, 2, bind_integers, evaluate_integers),
    NUMBER("lcm", "lcm(a, b)", "least common multiple", 2, 2, bind_integers, evaluate_integers),
    BITS("&", "bits of both"),
    BITS("|", "bits of either"),
    BITS("#", "bits of one of them"),
    BITS("<<", "bits moved upwards"),
    BITS(">>", "bits moved downwards"),
    NUMBER("xor", "xor(a, b)", "bits of one of them", 2, 2, bind_integers, evaluate_integers),
    NUMBER("~", "~ a, or text ~ pattern", "every bit turned; whether a part of the text matches", 1,
           2, bind_tilde, evaluate_integers),
    NUMBER("factorial", "factorial(n)", "1 * 2 * ... * n", 1, 1, bind_whole, evaluate_whole),
    NUMBER("bit_count", "bit_count(x)", "how many bits are set", 1, 1, bind_whole, evaluate_whole),
    NUMBER("width_bucket", "width_bucket(x, from, to, count)",
           "which of `count` equal ranges x is in, from 1; 0 below, count + 1 above", 4, 4,
           bind_bucket, evaluate_bucket),
    {"greatest", "numbers", "greatest(a, b, ...)", "the largest that is not null", 0, 1, -1,
     bind_greatest, evaluate_greatest, NULL},
    {"least", "numbers", "least(a, b, ...)", "the smallest that is not null", 0, 1, -1,
     bind_greatest, evaluate_greatest, NULL},
    {0},
};
