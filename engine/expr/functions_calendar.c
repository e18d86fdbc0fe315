/* Functions that make, print and read dates and times, differences by the calendar, time zones. */
#include "engine/base/zone.h"
#include "engine/expr/function_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY    86400000000LL
#define HOUR   3600000000LL
#define MINUTE 60000000LL
#define SECOND 1000000LL

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

/* A moment taken apart. */
struct civil {
    int64_t year, days, micros; /* micros: of the day */
    unsigned month, day;
};

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

static struct civil civil_of(int64_t micros)
{
    struct civil made = {.days = floor_divide(micros, DAY)};
    made.micros = micros - made.days * DAY;
    weir_days_to_civil(made.days, &made.year, &made.month, &made.day);
    return made;
}

static int weekday(int64_t days)
{
    return (int)(((days + 4) % 7 + 7) % 7);
}

static unsigned month_days(int64_t year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static int64_t micros_at(const struct weir_lane *lane, uint32_t row)
{
    return ((const int64_t *)lane->flat->values)[weir_lane(lane, row)];
}
static double real_at(const struct weir_lane *lane, uint32_t row)
{
    return ((const double *)lane->flat->values)[weir_lane(lane, row)];
}
static bool row_valid(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

/* Argument `at` is a date or a time stamp; a date becomes its midnight. */
static weir_status bind_stamp(struct weir_arena *arena, struct weir_node *call, uint32_t at,
                              struct weir_error *reterr)
{
    enum weir_type_id id = call->arguments[at]->type.id;
    if (call->arguments[at]->unknown || id == WEIR_DATE)
        return bind_as(arena, call, at, WEIR_TIMESTAMP, reterr);
    return id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ ? WEIR_OK : bind_wrong(call, reterr);
}

/* ---- from numbers ---- */

static weir_status bind_make(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    bool date = call->argument_count == 3;
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, i == 5 ? WEIR_DOUBLE : WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = date ? WEIR_DATE : WEIR_TIMESTAMP};
    return WEIR_OK;
}

static bool make_moment(const struct weir_lane *lanes, uint32_t count, uint32_t row, int64_t *ret)
{
    int64_t year = micros_at(&lanes[0], row), month = micros_at(&lanes[1], row),
            day = micros_at(&lanes[2], row), rest = 0;
    if (year < -290000 || year > 290000 || month < 1 || month > 12 || day < 1 ||
        day > month_days(year, (unsigned)month))
        return false;
    if (count == 6) {
        int64_t hour = micros_at(&lanes[3], row), minute = micros_at(&lanes[4], row);
        double second = real_at(&lanes[5], row);
        if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || !(second >= 0 && second < 60))
            return false;
        rest = hour * HOUR + minute * MINUTE + llrint(second * 1e6);
    }
    *ret = weir_days_from_civil(year, (unsigned)month, (unsigned)day) * DAY + rest;
    return true;
}

static weir_status evaluate_make(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane lanes[6];
    for (uint32_t i = 0; i < call->argument_count; i++)
        lanes[i] = weir_lane_of(&arguments[i]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t micros = 0;
        if (row_valid(ret, i) && !make_moment(lanes, call->argument_count, i, &micros))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s: a part is out of range",
                                          call->function->name));
        if (call->type.id == WEIR_DATE)
            ((int32_t *)ret->values)[i] = (int32_t)floor_divide(micros, DAY);
        else
            ((int64_t *)ret->values)[i] = micros;
    }
    return WEIR_OK;
}

/* to_timestamp(seconds) */
static weir_status bind_from_epoch(struct weir_arena *arena, struct weir_node *call,
                                   struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_DOUBLE, reterr));
    call->type = (struct weir_type){.id = WEIR_TIMESTAMPTZ};
    return WEIR_OK;
}

static weir_status evaluate_from_epoch(struct weir_evaluation *evaluation,
                                       const struct weir_node *call,
                                       const struct weir_vector *arguments, struct weir_vector *ret,
                                       struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        double seconds = real_at(&lane, i);
        bool good = fabs(seconds) < 9.2e12;
        ((int64_t *)ret->values)[i] = good ? llrint(seconds * 1e6) : 0;
        if (!good && row_valid(ret, i))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "timestamp out of range"));
    }
    return WEIR_OK;
}

/* epoch_ms, epoch_us, epoch_ns of a time; epoch_ms of a number is that time */
static weir_status bind_epoch(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    if (type_is_integer(&call->arguments[0]->type)) {
        call->type = (struct weir_type){.id = WEIR_TIMESTAMP};
        return bind_as(arena, call, 0, WEIR_LONG, reterr);
    }
    WEIR_TRY(bind_stamp(arena, call, 0, reterr));
    call->type = (struct weir_type){.id = strcmp(call->function->name, "epoch") == 0 ? WEIR_DOUBLE
                                                                                     : WEIR_LONG};
    return WEIR_OK;
}

static weir_status evaluate_epoch(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    const char *name = call->function->name;
    int64_t by = strcmp(name, "epoch_ms") == 0 ? 1000 : strcmp(name, "epoch") == 0 ? SECOND : 1;
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    bool make = call->type.id == WEIR_TIMESTAMP;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t value = micros_at(&lane, i), made = 0;
        if (call->type.id == WEIR_DOUBLE) {
            ((double *)ret->values)[i] = (double)value / 1e6;
            continue;
        }
        bool bad = make ? __builtin_mul_overflow(value, by, &made) : false;
        ((int64_t *)ret->values)[i] = bad ? 0 : make ? made : floor_divide(value, by);
        if (bad && row_valid(ret, i))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "timestamp out of range"));
    }
    return WEIR_OK;
}

/* ---- last_day, dayname, monthname ---- */

static weir_status bind_last_day(struct weir_arena *arena, struct weir_node *call,
                                 struct weir_error *reterr)
{
    WEIR_TRY(bind_stamp(arena, call, 0, reterr));
    call->type = (struct weir_type){.id = WEIR_DATE};
    return WEIR_OK;
}

static weir_status evaluate_last_day(struct weir_evaluation *evaluation,
                                     const struct weir_node *call,
                                     const struct weir_vector *arguments, struct weir_vector *ret,
                                     struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (!row_valid(ret, i))
            continue;
        struct civil at = civil_of(micros_at(&lane, i));
        ((int32_t *)ret->values)[i] = (int32_t)(at.days - at.day + month_days(at.year, at.month));
    }
    return WEIR_OK;
}

static weir_status bind_name(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    WEIR_TRY(bind_stamp(arena, call, 0, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}

static weir_status evaluate_name(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (row_valid(ret, i)) {
            struct civil at = civil_of(micros_at(&lane, i));
            const char *name = call->function->name[0] == 'd' ? day_names[weekday(at.days)]
                                                              : month_names[at.month - 1];
            status = weir_buffer_append(&writer.buffer, name, strlen(name), reterr);
        }
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- age: months, days and the rest, as a person counts ---- */

static weir_status bind_age(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    bool zone = false;
    for (uint32_t i = 0; i < 2; i++) {
        WEIR_TRY(bind_stamp(arena, call, i, reterr));
        zone = zone || call->arguments[i]->type.id == WEIR_TIMESTAMPTZ;
    }
    for (uint32_t i = 0; i < 2; i++)
        WEIR_TRY(bind_as(arena, call, i, zone ? WEIR_TIMESTAMPTZ : WEIR_TIMESTAMP, reterr));
    call->type = (struct weir_type){.id = WEIR_INTERVAL};
    return WEIR_OK;
}

static struct weir_interval age_of(int64_t later, int64_t earlier)
{
    int sign = later < earlier ? -1 : 1;
    struct civil a = civil_of(sign > 0 ? later : earlier), b = civil_of(sign > 0 ? earlier : later);
    int64_t months = (a.year - b.year) * 12 + (int)a.month - (int)b.month,
            days = (int64_t)a.day - b.day, micros = a.micros - b.micros;
    if (micros < 0) {
        micros += DAY;
        days--;
    }
    if (days < 0) { /* borrowed from the month the earlier one is in */
        days += month_days(b.year, b.month);
        months--;
    }
    return (struct weir_interval){(int32_t)(sign * months), (int32_t)(sign * days), sign * micros};
}

static weir_status evaluate_age(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    struct weir_lane a = weir_lane_of(&arguments[0]), b = weir_lane_of(&arguments[1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        struct weir_interval made = {0};
        if (row_valid(ret, i))
            made = age_of(micros_at(&a, i), micros_at(&b, i));
        memcpy((uint8_t *)ret->values + (size_t)i * 16, &made, 16);
    }
    return WEIR_OK;
}

/* ---- date_diff: bounds of the unit that lie between ---- */

static const struct {
    const char *name;
    int64_t micros; /* 0: months */
    int months;
} units[] = {{"microsecond", 1, 0},   {"millisecond", 1000, 0}, {"second", SECOND, 0},
             {"minute", MINUTE, 0},   {"hour", HOUR, 0},        {"day", DAY, 0},
             {"week", 7 * DAY, 0},    {"month", 0, 1},          {"quarter", 0, 3},
             {"year", 0, 12},         {"decade", 0, 120},       {"century", 0, 1200},
             {"millennium", 0, 12000}};

static int find_unit(struct weir_bytes text)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t size = strlen(units[i].name);
        bool plural = text.size == size + 1 && (text.data[size] | 0x20) == 's';
        if ((text.size == size || plural) &&
            strncasecmp(units[i].name, (const char *)text.data, size) == 0)
            return (int)i;
    }
    return -1;
}

static weir_status bind_diff(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    for (uint32_t i = 1; i < 3; i++)
        WEIR_TRY(bind_stamp(arena, call, i, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static int64_t unit_number(int unit, int64_t micros, bool whole)
{
    if (!whole && units[unit].micros == 7 * DAY) /* weeks begin on Monday */
        return floor_divide(floor_divide(micros, DAY) + 3, 7);
    if (units[unit].micros)
        return floor_divide(micros, units[unit].micros);
    struct civil at = civil_of(micros);
    int64_t months = at.year * 12 + at.month - 1;
    if (units[unit].months >= 1200) /* centuries begin with the year 1 */
        months -= 12;
    return floor_divide(months, units[unit].months);
}

/* date_sub: whole units only */
static int64_t whole_units(int unit, int64_t from, int64_t to)
{
    if (units[unit].micros)
        return (to - from) / units[unit].micros;
    struct weir_interval age = age_of(to, from);
    return age.months / units[unit].months;
}

static weir_status evaluate_diff(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane name = weir_lane_of(&arguments[0]), a = weir_lane_of(&arguments[1]),
                     b = weir_lane_of(&arguments[2]);
    bool whole = strstr(call->function->name, "sub") != NULL;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t from = micros_at(&a, i), to = micros_at(&b, i), *out = (int64_t *)ret->values + i;
        *out = 0;
        if (!row_valid(ret, i))
            continue;
        int unit = find_unit(weir_lane_bytes(&name, i));
        if (unit < 0 || from < -INT64_MAX / 4 || to < -INT64_MAX / 4 || from > INT64_MAX / 4 ||
            to > INT64_MAX / 4)
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          unit < 0 ? "there is no such unit of time"
                                                   : "timestamp out of range"));
        else
            *out = whole ? whole_units(unit, from, to)
                         : unit_number(unit, to, false) - unit_number(unit, from, false);
    }
    return WEIR_OK;
}

/* date_add(time, interval) */
static weir_status bind_add(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    struct weir_node *made;
    WEIR_TRY(weir_node_call(arena, "+", call->arguments, 2, call->location, &made, reterr));
    *call = *made;
    return WEIR_OK;
}

/* ---- time zones ---- */

static weir_status bind_zone(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    WEIR_TRY(bind_stamp(arena, call, 1, reterr));
    call->type = (struct weir_type){
        .id = call->arguments[1]->type.id == WEIR_TIMESTAMP ? WEIR_TIMESTAMPTZ : WEIR_TIMESTAMP};
    return WEIR_OK;
}

static weir_status prepare_zone(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    const struct weir_node *name = call->arguments[0];
    const struct weir_zone *zone;
    if (name->kind != WEIR_NODE_CONSTANT || !weir_vector_valid(&name->value, 0))
        return WEIR_OK;
    struct weir_lane lane = weir_lane_of(&name->value);
    struct weir_bytes text = weir_lane_bytes(&lane, 0);
    WEIR_TRY(weir_zone_find(arena, (const char *)text.data, text.size, &zone, reterr));
    call->prepared = (void *)zone;
    return WEIR_OK;
}

static int64_t through_zone(const struct weir_zone *zone, int64_t micros, bool to_local)
{
    int64_t seconds = floor_divide(micros, SECOND), made;
    int64_t offset = to_local ? weir_zone_offset(zone, seconds)
                              : -(int64_t)weir_zone_local_offset(zone, seconds);
    return __builtin_add_overflow(micros, offset * SECOND, &made) ? micros : made;
}

static weir_status evaluate_zone(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane name = weir_lane_of(&arguments[0]), lane = weir_lane_of(&arguments[1]);
    const struct weir_zone *zone = call->prepared;
    struct weir_bytes known = {0};
    bool to_local = call->type.id == WEIR_TIMESTAMP;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        ((int64_t *)ret->values)[i] = 0;
        if (!row_valid(ret, i))
            continue;
        struct weir_bytes text = weir_lane_bytes(&name, i);
        if (!call->prepared &&
            (!zone || text.size != known.size || memcmp(text.data, known.data, text.size) != 0)) {
            weir_status status = weir_zone_find(evaluation->arena, (const char *)text.data,
                                                text.size, &zone, NULL);
            if (status == WEIR_NO_MEMORY)
                return weir_fail(reterr, status, "no memory for a time zone");
            if (status != WEIR_OK) {
                zone = NULL;
                WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                              "there is no such time zone"));
                continue;
            }
            known = text;
        }
        ((int64_t *)ret->values)[i] = through_zone(zone, micros_at(&lane, i), to_local);
    }
    return WEIR_OK;
}

#define TIME(name, signature, doc, least, most, bind, evaluate)                                    \
    {                                                                                              \
        name, "times", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate, NULL     \
    }

const struct weir_function functions_calendar[] = {
    TIME("make_date", "make_date(year, month, day)", "the date of these numbers", 3, 3, bind_make,
         evaluate_make),
    TIME("make_timestamp", "make_timestamp(year, month, day, hour, minute, second)",
         "the time stamp of these numbers", 6, 6, bind_make, evaluate_make),
    TIME("to_timestamp", "to_timestamp(seconds)", "so many seconds after 1970-01-01 UTC", 1, 1,
         bind_from_epoch, evaluate_from_epoch),
    TIME("epoch", "epoch(time)", "seconds since 1970-01-01 UTC", 1, 1, bind_epoch, evaluate_epoch),
    TIME("epoch_ms", "epoch_ms(time or number)",
         "milliseconds since 1970-01-01 UTC; of a number: that time", 1, 1, bind_epoch,
         evaluate_epoch),
    TIME("epoch_us", "epoch_us(time)", "microseconds since 1970-01-01 UTC", 1, 1, bind_epoch,
         evaluate_epoch),
    TIME("last_day", "last_day(time)", "the last day of its month", 1, 1, bind_last_day,
         evaluate_last_day),
    TIME("dayname", "dayname(time)", "Monday to Sunday", 1, 1, bind_name, evaluate_name),
    TIME("monthname", "monthname(time)", "January to December", 1, 1, bind_name, evaluate_name),
    TIME("age", "age(later, earlier)", "years, months, days and the rest between them", 2, 2,
         bind_age, evaluate_age),
    TIME("date_diff", "date_diff(unit, from, to)", "bounds of the unit that lie between", 3, 3,
         bind_diff, evaluate_diff),
    TIME("datediff", "datediff(unit, from, to)", "bounds of the unit that lie between", 3, 3,
         bind_diff, evaluate_diff),
    TIME("date_sub", "date_sub(unit, from, to)", "whole units that lie between", 3, 3, bind_diff,
         evaluate_diff),
    TIME("datesub", "datesub(unit, from, to)", "whole units that lie between", 3, 3, bind_diff,
         evaluate_diff),
    TIME("date_add", "date_add(time, interval)", "time + interval", 2, 2, bind_add, evaluate_age),
    {"timezone", "times", "timezone(zone, time), time AT TIME ZONE zone",
     "of a timestamptz: what clocks there show; of a timestamp: when they show it",
     WEIR_FUNCTION_STRICT, 2, 2, bind_zone, evaluate_zone, prepare_zone},
    {0},
};
