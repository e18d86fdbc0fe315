/* Functions of dates and times. */
#include "engine/expr/function_int.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define DAY    86400000000LL
#define HOUR   3600000000LL
#define MINUTE 60000000LL
#define SECOND 1000000LL

enum unit {
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_DOW,
    UNIT_ISODOW,
    UNIT_DOY,
    UNIT_EPOCH,
    UNIT_ISOYEAR,
    UNIT_COUNT
};

static const char *const unit_names[UNIT_COUNT] = {
    "microseconds", "milliseconds", "second",  "minute", "hour",   "day",
    "week",         "month",        "quarter", "year",   "decade", "century",
    "millennium",   "dow",          "isodow",  "doy",    "epoch",  "isoyear"};

static bool find_unit(struct weir_bytes text, enum unit *ret)
{
    static const struct {
        const char *name;
        enum unit unit;
    } others[] = {{"microsecond", UNIT_MICROSECOND}, {"millisecond", UNIT_MILLISECOND},
                  {"dayofweek", UNIT_DOW},           {"dayofyear", UNIT_DOY},
                  {"weekofyear", UNIT_WEEK},         {"centuries", UNIT_CENTURY}};
    for (int i = 0; i < UNIT_COUNT; i++) {
        size_t size = strlen(unit_names[i]);
        bool plural = text.size == size + 1 && (text.data[size] | 0x20) == 's';
        if ((text.size == size || plural) &&
            strncasecmp(unit_names[i], (const char *)text.data, size) == 0) {
            *ret = (enum unit)i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i].name) == text.size &&
            strncasecmp(others[i].name, (const char *)text.data, text.size) == 0) {
            *ret = others[i].unit;
            return true;
        }
    return false;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* ---- the unit: a constant, read once ---- */

static weir_status prepare_unit(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    const struct weir_node *unit = call->arguments[0];
    enum unit *kept;
    if (unit->kind != WEIR_NODE_CONSTANT || !weir_vector_valid(&unit->value, 0))
        return weir_fail(reterr, WEIR_USAGE, "%s: the unit is a constant", call->function->name);
    struct weir_lane lane = weir_lane_of(&unit->value);
    struct weir_bytes text = weir_lane_bytes(&lane, 0);
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *kept, &kept, reterr));
    if (!find_unit(text, kept))
        return weir_fail(reterr, WEIR_USAGE, "there is no unit of time %.*s", (int)text.size,
                         (const char *)text.data);
    call->prepared = kept;
    return WEIR_OK;
}

static weir_status bind_moment(struct weir_arena *arena, struct weir_node *call, uint32_t at,
                               struct weir_error *reterr)
{
    enum weir_type_id id = call->arguments[at]->type.id;
    if (call->arguments[at]->unknown)
        return bind_as(arena, call, at, WEIR_TIMESTAMP, reterr);
    if (id != WEIR_DATE && id != WEIR_TIMESTAMP && id != WEIR_TIMESTAMPTZ)
        return bind_wrong(call, reterr);
    return WEIR_OK;
}

/* ---- date_trunc ---- */

static weir_status bind_trunc(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    WEIR_TRY(bind_moment(arena, call, 1, reterr));
    /* of a date: a timestamp, as DuckDB gives it a date only from day upwards */
    if (call->arguments[1]->type.id == WEIR_DATE)
        WEIR_TRY(bind_as(arena, call, 1, WEIR_TIMESTAMP, reterr));
    call->type = call->arguments[1]->type;
    return WEIR_OK;
}

static int64_t first_of(int64_t year, unsigned month)
{
    return weir_days_from_civil(year, month, 1) * DAY;
}

static int64_t truncate(enum unit unit, int64_t micros)
{
    int64_t days = floor_divide(micros, DAY), year;
    unsigned month, day;
    switch (unit) {
    case UNIT_MICROSECOND: return micros;
    case UNIT_MILLISECOND: return floor_divide(micros, 1000) * 1000;
    case UNIT_SECOND: return floor_divide(micros, SECOND) * SECOND;
    case UNIT_MINUTE: return floor_divide(micros, MINUTE) * MINUTE;
    case UNIT_HOUR: return floor_divide(micros, HOUR) * HOUR;
    case UNIT_DAY: return days * DAY;
    case UNIT_WEEK: return (floor_divide(days + 3, 7) * 7 - 3) * DAY; /* Monday */
    default: break;
    }
    weir_days_to_civil(days, &year, &month, &day);
    switch (unit) {
    case UNIT_MONTH: return first_of(year, month);
    case UNIT_QUARTER: return first_of(year, (month - 1) / 3 * 3 + 1);
    case UNIT_YEAR: return first_of(year, 1);
    case UNIT_DECADE: return first_of(floor_divide(year, 10) * 10, 1);
    case UNIT_CENTURY: return first_of(floor_divide(year - 1, 100) * 100 + 1, 1);
    case UNIT_MILLENNIUM: return first_of(floor_divide(year - 1, 1000) * 1000 + 1, 1);
    default: return micros;
    }
}

static weir_status evaluate_trunc(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    enum unit unit = *(const enum unit *)call->prepared;
    struct weir_lane lane = weir_lane_of(&arguments[1]);
    const int64_t *values = lane.flat->values;
    int64_t before = INT64_MIN, made = 0, next = INT64_MIN, *out;
    bool months = unit >= UNIT_MONTH;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    out = ret->values;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t micros = values[weir_lane(&lane, i)];
        if (ret->validity && !weir_bit_get(ret->validity, i))
            continue;
        if (!months) {
            out[i] = truncate(unit, micros);
            continue;
        }
        if (micros < before || micros >= next) { /* runs of one month are worked out once */
            made = truncate(unit, micros);
            before = made;
            next = made + 28 * DAY;
        }
        out[i] = made;
    }
    return WEIR_OK;
}

/* ---- date_part, EXTRACT ---- */

static weir_status bind_part(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    enum weir_type_id id = call->arguments[1]->type.id;
    if (id != WEIR_INTERVAL && id != WEIR_TIME)
        WEIR_TRY(bind_moment(arena, call, 1, reterr));
    WEIR_TRY(weir_node_fold(arena, call->arguments[0], &call->arguments[0], reterr));
    WEIR_TRY(prepare_unit(arena, call, reterr));
    /* whole numbers as long (DuckDB), epoch with its fraction */
    call->type = (struct weir_type){
        .id = *(const enum unit *)call->prepared == UNIT_EPOCH ? WEIR_DOUBLE : WEIR_LONG};
    return WEIR_OK;
}

static int64_t iso_week(int64_t days, int64_t *ret_year)
{
    int64_t monday = floor_divide(days + 3, 7) * 7 - 3, thursday = monday + 3, year;
    unsigned month, day;
    weir_days_to_civil(thursday, &year, &month, &day);
    *ret_year = year;
    return (thursday - weir_days_from_civil(year, 1, 1)) / 7 + 1;
}

static int64_t part_of(enum unit unit, int64_t micros)
{
    int64_t days = floor_divide(micros, DAY), rest = micros - days * DAY, year;
    unsigned month, day;
    switch (unit) {
    case UNIT_MICROSECOND: return rest % MINUTE;
    case UNIT_MILLISECOND: return rest % MINUTE / 1000;
    case UNIT_SECOND: return rest % MINUTE / SECOND;
    case UNIT_MINUTE: return rest % HOUR / MINUTE;
    case UNIT_HOUR: return rest / HOUR;
    case UNIT_DOW: return ((days + 4) % 7 + 7) % 7;
    case UNIT_ISODOW: return ((days + 3) % 7 + 7) % 7 + 1;
    case UNIT_WEEK: return iso_week(days, &year);
    case UNIT_ISOYEAR: iso_week(days, &year); return year;
    default: break;
    }
    weir_days_to_civil(days, &year, &month, &day);
    switch (unit) {
    case UNIT_DAY: return day;
    case UNIT_MONTH: return month;
    case UNIT_QUARTER: return (month - 1) / 3 + 1;
    case UNIT_DOY: return days - weir_days_from_civil(year, 1, 1) + 1;
    case UNIT_DECADE: return floor_divide(year, 10);
    case UNIT_CENTURY: return year > 0 ? (year + 99) / 100 : floor_divide(year, 100);
    case UNIT_MILLENNIUM: return year > 0 ? (year + 999) / 1000 : floor_divide(year, 1000);
    default: return year;
    }
}

static int64_t interval_part(enum unit unit, const struct weir_interval *interval)
{
    switch (unit) {
    case UNIT_YEAR: return interval->months / 12;
    case UNIT_DECADE: return interval->months / 120;
    case UNIT_CENTURY: return interval->months / 1200;
    case UNIT_MILLENNIUM: return interval->months / 12000;
    case UNIT_QUARTER: return interval->months % 12 / 3 + 1;
    case UNIT_MONTH: return interval->months % 12;
    case UNIT_DAY: return interval->days;
    case UNIT_HOUR: return interval->micros / HOUR;
    case UNIT_MINUTE: return interval->micros % HOUR / MINUTE;
    case UNIT_SECOND: return interval->micros % MINUTE / SECOND;
    case UNIT_MILLISECOND: return interval->micros % MINUTE / 1000;
    default: return interval->micros % MINUTE;
    }
}

static int64_t micros_at(const struct weir_lane *lane, uint32_t row)
{
    uint32_t at = weir_lane(lane, row);
    return lane->flat->type->id == WEIR_DATE ? ((const int32_t *)lane->flat->values)[at] * DAY
                                             : ((const int64_t *)lane->flat->values)[at];
}

static weir_status evaluate_part_of(struct weir_evaluation *evaluation,
                                    const struct weir_node *call, enum unit unit,
                                    const struct weir_vector *argument, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(argument);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (ret->validity && !weir_bit_get(ret->validity, i))
            continue;
        if (argument->type->id == WEIR_INTERVAL) {
            struct weir_interval interval;
            memcpy(&interval, (const uint8_t *)lane.flat->values + (size_t)weir_lane(&lane, i) * 16,
                   16);
            if (unit == UNIT_EPOCH)
                ((double *)ret->values)[i] = ((double)(interval.months / 12) * 365.25 +
                                              (double)(interval.months % 12) * 30 + interval.days) *
                                                 86400.0 +
                                             (double)interval.micros / 1e6;
            else
                ((int64_t *)ret->values)[i] = interval_part(unit, &interval);
        } else if (unit == UNIT_EPOCH) {
            ((double *)ret->values)[i] = (double)micros_at(&lane, i) / 1e6;
        } else {
            ((int64_t *)ret->values)[i] = part_of(unit, micros_at(&lane, i));
        }
    }
    return WEIR_OK;
}

static weir_status evaluate_part(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    return evaluate_part_of(evaluation, call, *(const enum unit *)call->prepared, &arguments[1],
                            ret, reterr);
}

/* year(x), month(x), ...: the name is the unit */
static weir_status bind_named_part(struct weir_arena *arena, struct weir_node *call,
                                   struct weir_error *reterr)
{
    if (call->arguments[0]->type.id != WEIR_INTERVAL && call->arguments[0]->type.id != WEIR_TIME)
        WEIR_TRY(bind_moment(arena, call, 0, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static weir_status evaluate_named_part(struct weir_evaluation *evaluation,
                                       const struct weir_node *call,
                                       const struct weir_vector *arguments, struct weir_vector *ret,
                                       struct weir_error *reterr)
{
    const char *name = call->function->name;
    enum unit unit = UNIT_YEAR;
    find_unit((struct weir_bytes){(const uint8_t *)name, strlen(name)}, &unit);
    return evaluate_part_of(evaluation, call, unit, &arguments[0], ret, reterr);
}

#define PART(name, doc)                                                                            \
    {                                                                                              \
        name, "times", name "(time)", doc, WEIR_FUNCTION_STRICT, 1, 1, bind_named_part,            \
            evaluate_named_part, NULL                                                              \
    }

const struct weir_function functions_time[] = {
    {"date_trunc", "times", "date_trunc(unit, time)", "the start of the unit the time is in",
     WEIR_FUNCTION_STRICT, 2, 2, bind_trunc, evaluate_trunc, prepare_unit},
    {"date_part", "times", "date_part(unit, time)", "that part as a number", WEIR_FUNCTION_STRICT,
     2, 2, bind_part, evaluate_part, NULL},
    {"extract", "times", "extract(unit FROM time)", "that part as a number", WEIR_FUNCTION_STRICT,
     2, 2, bind_part, evaluate_part, NULL},
    PART("year", "its year"),
    PART("month", "its month, 1 to 12"),
    PART("day", "its day of the month"),
    PART("hour", "its hour"),
    PART("minute", "its minute"),
    PART("second", "its second"),
    PART("quarter", "its quarter, 1 to 4"),
    PART("decade", "its year by 10"),
    PART("century", "its century, from 1"),
    PART("millennium", "its millennium, from 1"),
    PART("isoyear", "the year its ISO week is in"),
    PART("weekofyear", "its ISO week"),
    PART("millisecond", "its milliseconds, seconds with them"),
    PART("microsecond", "its microseconds, seconds with them"),
    PART("week", "its ISO week"),
    PART("dayofweek", "0 = Sunday to 6"),
    PART("dayofyear", "its day of the year, from 1"),
    PART("isodow", "1 = Monday to 7"),
    {0},
};
