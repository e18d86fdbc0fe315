/* TZif files: transitions of the past, and the rule in the footer for all that comes after. */
#include "engine/base/zone.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ZONE_FOLDER    "/usr/share/zoneinfo/"
#define ZONE_NAME_MAX  64
#define ZONE_FILE_MAX  (64u << 10)
#define ZONE_HEADER    44
#define DAY_SECONDS    86400
#define TRANSITION_MAX 100000

/* Mm.w.d/time of a POSIX rule, or a plain day of the year. */
struct rule_date {
    char kind; /* 'M', 'J' (1-365, no 29 February), 'N' (0-365) */
    int month, week, day;
    int32_t seconds;
};

struct weir_zone {
    uint32_t count;
    const int64_t *moments; /* count of them */
    const int32_t *offsets; /* from moments[i] on */
    int32_t first_offset;   /* before all */
    bool has_rule, has_summer;
    int32_t standard, summer;
    struct rule_date from, to;
};

/* ---- numbers of the file: big endian ---- */

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static int64_t read_i64(const uint8_t *at)
{
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

/* ---- the footer: EST5EDT,M3.2.0,M11.1.0 ---- */

static const char *skip_name(const char *at)
{
    if (*at == '<') {
        const char *end = strchr(at, '>');
        return end ? end + 1 : NULL;
    }
    while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
        at++;
    return at;
}

static const char *read_number(const char *at, int *ret)
{
    int value = 0, digits = 0;
    for (; *at >= '0' && *at <= '9' && digits < 4; at++, digits++)
        value = value * 10 + (*at - '0');
    *ret = value;
    return digits ? at : NULL;
}

/* [+-]hh[:mm[:ss]] */
static const char *read_clock(const char *at, int32_t *ret)
{
    int parts[3] = {0}, sign = *at == '-' ? -1 : 1;
    if (*at == '-' || *at == '+')
        at++;
    for (int i = 0; i < 3; i++) {
        at = read_number(at, &parts[i]);
        if (!at)
            return NULL;
        if (i == 2 || *at != ':')
            break;
        at++;
    }
    *ret = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return at;
}

static const char *read_rule_date(const char *at, struct rule_date *ret)
{
    *ret = (struct rule_date){.kind = 'N', .seconds = 7200};
    if (*at == 'M') {
        ret->kind = 'M';
        if (!(at = read_number(at + 1, &ret->month)) || *at++ != '.' ||
            !(at = read_number(at, &ret->week)) || *at++ != '.' ||
            !(at = read_number(at, &ret->day)) || ret->month < 1 || ret->month > 12 ||
            ret->week < 1 || ret->week > 5 || ret->day > 6)
            return NULL;
    } else {
        if (*at == 'J') {
            ret->kind = 'J';
            at++;
        }
        if (!(at = read_number(at, &ret->day)) || ret->day > 366)
            return NULL;
    }
    return *at == '/' ? read_clock(at + 1, &ret->seconds) : at;
}

static bool read_rule(const char *at, struct weir_zone *zone)
{
    if (!(at = skip_name(at)) || !(at = read_clock(at, &zone->standard)))
        return false;
    zone->standard = -zone->standard; /* POSIX counts westwards */
    zone->has_rule = true;
    if (!*at)
        return true;
    zone->summer = zone->standard + 3600;
    if (!(at = skip_name(at)))
        return false;
    if (*at && *at != ',') {
        if (!(at = read_clock(at, &zone->summer)))
            return false;
        zone->summer = -zone->summer;
    }
    if (*at++ != ',' || !(at = read_rule_date(at, &zone->from)) || *at++ != ',' ||
        !(at = read_rule_date(at, &zone->to)) || *at)
        return false;
    zone->has_summer = true;
    return true;
}

/* ---- the file ---- */

static bool counts_fit(const uint8_t *header, size_t left, size_t width, size_t *ret_size)
{
    uint64_t leaps = read_u32(header + 28), moments = read_u32(header + 32),
             types = read_u32(header + 36), letters = read_u32(header + 40),
             size = moments * (width + 1) + types * 6 + letters + leaps * (width + 4) +
                    read_u32(header + 24) + read_u32(header + 20);
    if (moments > TRANSITION_MAX || types == 0 || types > 256 || size > left)
        return false;
    *ret_size = (size_t)size;
    return true;
}

static weir_status read_moments(struct weir_arena *arena, const uint8_t *header,
                                struct weir_zone *zone, bool *ret_good, struct weir_error *reterr)
{
    uint32_t count = read_u32(header + 32), types = read_u32(header + 36);
    const uint8_t *at = header + ZONE_HEADER, *kinds = at + (size_t)count * 8,
                  *records = kinds + count;
    int64_t *moments;
    int32_t *offsets;
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *moments, &moments, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *offsets, &offsets, reterr));
    for (uint32_t i = 0; i < count; i++) {
        if (kinds[i] >= types)
            return WEIR_OK;
        moments[i] = read_i64(at + (size_t)i * 8);
        offsets[i] = (int32_t)read_u32(records + (size_t)kinds[i] * 6);
        if ((i && moments[i] <= moments[i - 1]) || offsets[i] > DAY_SECONDS ||
            offsets[i] < -DAY_SECONDS)
            return WEIR_OK;
    }
    zone->count = count;
    zone->moments = moments;
    zone->offsets = offsets;
    zone->first_offset = (int32_t)read_u32(records);
    *ret_good = true;
    return WEIR_OK;
}

static weir_status read_zone(struct weir_arena *arena, const uint8_t *data, size_t size,
                             struct weir_zone *zone, bool *ret_good, struct weir_error *reterr)
{
    size_t body;
    *ret_good = false;
    if (size < 2 * ZONE_HEADER || memcmp(data, "TZif", 4) != 0 || data[4] < '2' ||
        !counts_fit(data, size - ZONE_HEADER, 4, &body))
        return WEIR_OK;
    data += ZONE_HEADER + body; /* the old 32 bit form comes first */
    size -= ZONE_HEADER + body;
    if (size < ZONE_HEADER || memcmp(data, "TZif", 4) != 0 ||
        !counts_fit(data, size - ZONE_HEADER, 8, &body))
        return WEIR_OK;
    WEIR_TRY(read_moments(arena, data, zone, ret_good, reterr));
    const uint8_t *footer = data + ZONE_HEADER + body;
    size_t left = size - ZONE_HEADER - body;
    char text[128];
    const uint8_t *end = left > 1 ? memchr(footer + 1, '\n', left - 1) : NULL;
    if (!*ret_good || !end || *footer != '\n' || end == footer + 1 ||
        (size_t)(end - footer) > sizeof text)
        return WEIR_OK;
    memcpy(text, footer + 1, (size_t)(end - footer - 1));
    text[end - footer - 1] = 0;
    if (!read_rule(text, zone))
        *ret_good = false;
    return WEIR_OK;
}

/* ---- names ---- */

static bool fixed_offset(const char *name, size_t size, struct weir_zone *zone)
{
    char text[ZONE_NAME_MAX + 1];
    int32_t seconds;
    memcpy(text, name, size);
    text[size] = 0;
    zone->has_rule = true;
    if (strcasecmp(text, "utc") == 0 || strcasecmp(text, "gmt") == 0 || strcasecmp(text, "z") == 0)
        return true;
    if (*text != '+' && *text != '-')
        return false;
    if (size == 5 && !strchr(text, ':')) { /* +hhmm */
        memmove(text + 4, text + 3, 3);
        text[3] = ':';
    }
    const char *end = read_clock(text, &seconds);
    if (!end || *end || seconds > 16 * 3600 || seconds < -16 * 3600)
        return false;
    zone->standard = seconds;
    return true;
}

/* Only names as the folder has them: nothing that leads out of it. */
static bool good_name(const char *name, size_t size)
{
    bool letter = size > 0 && name[0] != '/';
    for (size_t i = 0; i < size && letter; i++)
        letter = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
                 (name[i] >= '0' && name[i] <= '9') || strchr("_+-/", name[i]);
    return letter;
}

static weir_status no_zone(const char *name, size_t size, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_USAGE, "there is no time zone %.*s",
                     (int)(size > ZONE_NAME_MAX ? ZONE_NAME_MAX : size), name);
}

weir_status weir_zone_find(struct weir_arena *arena, const char *name, size_t size,
                           const struct weir_zone **ret_zone, struct weir_error *reterr)
{
    char path[sizeof ZONE_FOLDER + ZONE_NAME_MAX];
    struct weir_zone *zone;
    bool good = false;
    if (size == 0 || size > ZONE_NAME_MAX || memchr(name, 0, size))
        return no_zone(name, size, reterr);
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *zone, &zone, reterr));
    if (fixed_offset(name, size, zone)) {
        *ret_zone = zone;
        return WEIR_OK;
    }
    zone->has_rule = false;
    if (!good_name(name, size))
        return no_zone(name, size, reterr);
    snprintf(path, sizeof path, "%s%.*s", ZONE_FOLDER, (int)size, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return no_zone(name, size, reterr);
    uint8_t *data;
    weir_status status = weir_arena_alloc(arena, ZONE_FILE_MAX, &data, reterr);
    if (status == WEIR_OK)
        status = read_zone(arena, data, fread(data, 1, ZONE_FILE_MAX, file), zone, &good, reterr);
    fclose(file);
    if (status == WEIR_OK && !good)
        status = no_zone(name, size, reterr);
    if (status == WEIR_OK)
        *ret_zone = zone;
    return status;
}

/* ---- offsets ---- */

/* Local seconds of a rule's date in a year. */
static int64_t rule_moment(const struct rule_date *date, int64_t year)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t days = weir_days_from_civil(year, 1, 1);
    if (date->kind == 'N') {
        days += date->day;
    } else if (date->kind == 'J') {
        days += date->day - 1 + (leap && date->day >= 60);
    } else {
        int64_t first = weir_days_from_civil(year, (unsigned)date->month, 1),
                next = date->month == 12 ? weir_days_from_civil(year + 1, 1, 1)
                                         : weir_days_from_civil(year, (unsigned)date->month + 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7;
        days = first + (date->day - weekday + 7) % 7 + (date->week - 1) * 7;
        while (days >= next)
            days -= 7;
    }
    return days * DAY_SECONDS + date->seconds;
}

static int32_t rule_offset(const struct weir_zone *zone, int64_t seconds)
{
    int64_t year;
    unsigned month, day;
    if (!zone->has_summer)
        return zone->standard;
    int64_t local = seconds + zone->standard,
            days = local >= 0 ? local / DAY_SECONDS : -((DAY_SECONDS - 1 - local) / DAY_SECONDS);
    weir_days_to_civil(days, &year, &month, &day);
    int64_t from = rule_moment(&zone->from, year) - zone->standard,
            to = rule_moment(&zone->to, year) - zone->summer;
    bool summer = from < to ? seconds >= from && seconds < to : seconds >= from || seconds < to;
    return summer ? zone->summer : zone->standard;
}

int32_t weir_zone_offset(const struct weir_zone *zone, int64_t seconds)
{
    uint32_t low = 0, high = zone->count;
    if (zone->has_rule && (zone->count == 0 || seconds >= zone->moments[zone->count - 1]))
        return rule_offset(zone, seconds);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->moments[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? zone->offsets[low - 1] : zone->first_offset;
}

int32_t weir_zone_local_offset(const struct weir_zone *zone, int64_t local_seconds)
{
    int32_t before = weir_zone_offset(zone, local_seconds - DAY_SECONDS),
            after = weir_zone_offset(zone, local_seconds + DAY_SECONDS);
    if (before == after)
        return before;
    return weir_zone_offset(zone, local_seconds - after) == after ? after : before;
}
