/* Cron lines: five fields as sets of bits, and the last time that is in all of them. */
#include "scheduler/pipeline/cron.h"

#include "engine/base/text.h"

#include <string.h>
#include <strings.h>

#define MINUTE_MS INT64_C(60000)
#define DAY_MS    (1440 * MINUTE_MS)
/* Between two 29 Februaries lie eight years where a century has none. */
#define DAYS_BACK_MAX (9 * 366)

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field {
    int least, most;
    const char *const *names; /* of least, least + 1, ...; NULL */
    int name_count;
};

static bool read_number(const struct field *field, const char *text, size_t size, int *ret_value)
{
    int64_t value;
    for (int i = 0; i < field->name_count; i++)
        if (size == 3 && strncasecmp(text, field->names[i], 3) == 0) {
            *ret_value = field->least + i;
            return true;
        }
    if (size == 0 || size > 2 || strspn(text, "0123456789") < size ||
        !weir_text_int64(text, size, &value) || value < field->least || value > field->most)
        return false;
    *ret_value = (int)value;
    return true;
}

/* One item of a list: * | a | a-b, with /n behind. */
static bool read_item(const struct field *field, const char *text, size_t size, uint64_t *bits)
{
    const char *slash = memchr(text, '/', size);
    size_t range = slash ? (size_t)(slash - text) : size;
    const char *dash = memchr(text, '-', range);
    int from = field->least, to = field->most;
    int64_t step = 1;
    if (slash &&
        (size - range > 3 || !weir_text_int64(slash + 1, size - range - 1, &step) || step < 1))
        return false;
    if (dash) {
        size_t first = (size_t)(dash - text);
        if (!read_number(field, text, first, &from) ||
            !read_number(field, dash + 1, range - first - 1, &to) || from > to)
            return false;
    } else if (range != 1 || *text != '*') {
        if (slash || !read_number(field, text, range, &from))
            return false;
        to = from;
    }
    for (int at = from; at <= to; at += (int)step)
        *bits |= UINT64_C(1) << at;
    return true;
}

static bool read_field(const struct field *field, const char *text, size_t size, uint64_t *ret_bits)
{
    uint64_t bits = 0;
    for (size_t at = 0; at <= size;) {
        const char *comma = memchr(text + at, ',', size - at);
        size_t item = comma ? (size_t)(comma - text) - at : size - at;
        if (item == 0 || !read_item(field, text + at, item, &bits))
            return false;
        at += item + 1;
    }
    *ret_bits = bits;
    return true;
}

static bool has(uint64_t bits, unsigned at)
{
    return bits >> at & 1;
}

static bool day_fits(const struct weir_cron *cron, int64_t days)
{
    int64_t year;
    unsigned month, day;
    weir_days_to_civil(days, &year, &month, &day);
    unsigned weekday = (unsigned)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    bool by_day = has(cron->days, day), by_weekday = has(cron->weekdays, weekday);
    if (!has(cron->months, month))
        return false;
    return cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

static bool minute_fits(const struct weir_cron *cron, int minute)
{
    return has(cron->hours, (unsigned)minute / 60) && has(cron->minutes, (unsigned)minute % 60);
}

bool weir_cron_last(const struct weir_cron *cron, int64_t now_ms, int64_t *ret_tick_ms)
{
    int64_t today = now_ms / DAY_MS - (now_ms % DAY_MS < 0);
    int latest = (int)((now_ms - today * DAY_MS) / MINUTE_MS);
    for (int64_t days = today; days > today - DAYS_BACK_MAX; days--, latest = 1439) {
        if (!day_fits(cron, days))
            continue;
        for (int minute = latest; minute >= 0; minute--)
            if (minute_fits(cron, minute)) {
                *ret_tick_ms = days * DAY_MS + minute * MINUTE_MS;
                return true;
            }
    }
    return false;
}

bool weir_cron_parse(const char *text, size_t size, struct weir_cron *ret_cron,
                     const char **ret_words)
{
    static const struct field fields[] = {{0, 59, NULL, 0},
                                          {0, 23, NULL, 0},
                                          {1, 31, NULL, 0},
                                          {1, 12, month_names, 12},
                                          {0, 7, weekday_names, 7}};
    static const char *const wrong[] = {"the minute is none of 0 to 59",
                                        "the hour is none of 0 to 23", "the day is none of 1 to 31",
                                        "the month is none of 1 to 12",
                                        "the weekday is none of 0 to 7"};
    uint64_t bits[5];
    bool any[5];
    int64_t tick;
    size_t at = 0;
    for (int i = 0; i < 5; i++) {
        while (at < size && text[at] == ' ')
            at++;
        const char *space = memchr(text + at, ' ', size - at);
        size_t length = space ? (size_t)(space - text) - at : size - at;
        *ret_words = length ? wrong[i] : "there are fewer than five fields";
        if (length == 0 || !read_field(&fields[i], text + at, length, &bits[i]))
            return false;
        any[i] = text[at] == '*';
        at += length;
    }
    while (at < size && text[at] == ' ')
        at++;
    *ret_words = "there are more than five fields";
    if (at != size)
        return false;
    bits[4] |= bits[4] >> 7; /* Sunday */
    struct weir_cron cron = {
        bits[0], (uint32_t)bits[1], (uint32_t)bits[2], (uint32_t)bits[3], (uint32_t)bits[4], any[2],
        any[4]};
    *ret_words = "there is no such day";
    if (!weir_cron_last(&cron, INT64_C(1600000000000), &tick))
        return false;
    *ret_cron = cron;
    return true;
}
