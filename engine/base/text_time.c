/* Dates and times from ISO 8601 text and back, and the civil calendar. Proleptic Gregorian, years
 * 0001 to 9999 in. */
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

#define DAY_MICROS  INT64_C(86400000000)
#define ERA_DAYS    146097 /* days of 400 years */
#define EPOCH_SHIFT 719468 /* days from 0000-03-01 to 1970-01-01 */

/* A pair of digits, or 100 and more when they are not. */
static inline unsigned pair(const char *text)
{
    unsigned tens = (unsigned char)(text[0] - '0'), ones = (unsigned char)(text[1] - '0');

    return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

/* Years begin in March here, so that the leap day is the last of the year. */
int64_t weir_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t era;
    unsigned year_of_era, day_of_year, day_of_era;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    year_of_era = (unsigned)(year - era * 400);
    day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + (int64_t)day_of_era - EPOCH_SHIFT;
}

void weir_days_to_civil(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    int64_t shifted = days + EPOCH_SHIFT;
    int64_t era = (shifted >= 0 ? shifted : shifted - (ERA_DAYS - 1)) / ERA_DAYS;
    unsigned day_of_era = (unsigned)(shifted - era * ERA_DAYS);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * day_of_year + 2) / 153;
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;

    *ret_day = day_of_year - (153 * march_month + 2) / 5 + 1;
    *ret_month = month;
    *ret_year = (int64_t)year_of_era + era * 400 + (month <= 2);
}

static bool date_read(const char *text, int64_t *ret_days)
{
    static const uint8_t lengths[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned century = pair(text), years = pair(text + 2), month = pair(text + 5),
             day = pair(text + 8);
    unsigned year = century * 100 + years;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (century > 99 || years > 99 || year == 0 || text[4] != '-' || text[7] != '-')
        return false;
    if (month - 1 > 11 || day - 1 >= (unsigned)(lengths[month] + (month == 2 && leap)))
        return false;
    *ret_days = weir_days_from_civil(year, month, day);
    return true;
}

/* HH:MM:SS[.f+] at the start of text; *ret_used bytes of it. */
static bool time_read(const char *text, size_t size, int64_t *ret_micros, size_t *ret_used)
{
    unsigned hour, minute, second;
    int64_t micros = 0;
    size_t at = 8;

    if (size < 8 || text[2] != ':' || text[5] != ':')
        return false;
    hour = pair(text);
    minute = pair(text + 3);
    second = pair(text + 6);
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    if (at < size && text[at] == '.') {
        int64_t weight = 100000;
        size_t first = ++at;
        for (; at < size && (unsigned char)(text[at] - '0') < 10; at++) {
            micros += weight * (text[at] - '0');
            weight /= 10;
        }
        if (at == first)
            return false;
    }
    *ret_micros = ((int64_t)hour * 3600 + minute * 60 + second) * 1000000 + micros;
    *ret_used = at;
    return true;
}

/* Z, +HH:MM, +HHMM or +HH: the whole of text. */
static bool offset_read(const char *text, size_t size, int64_t *ret_micros)
{
    unsigned hours, minutes = 0;
    int64_t micros;

    if (size == 1 && (text[0] == 'Z' || text[0] == 'z')) {
        *ret_micros = 0;
        return true;
    }
    if (size < 3 || (text[0] != '+' && text[0] != '-'))
        return false;
    hours = pair(text + 1);
    if (size == 6 && text[3] == ':')
        minutes = pair(text + 4);
    else if (size == 5)
        minutes = pair(text + 3);
    else if (size != 3)
        return false;
    if (hours > 23 || minutes > 59)
        return false;
    micros = ((int64_t)hours * 60 + minutes) * 60000000;
    *ret_micros = text[0] == '-' ? -micros : micros;
    return true;
}

/* Date, T or a space, time; *ret_used bytes. */
static bool moment_read(const char *text, size_t size, int64_t *ret_micros, size_t *ret_used)
{
    int64_t days, micros;
    size_t used;

    if (size < 19 || (text[10] != 'T' && text[10] != ' ' && text[10] != 't'))
        return false;
    if (!date_read(text, &days) || !time_read(text + 11, size - 11, &micros, &used))
        return false;
    *ret_micros = days * DAY_MICROS + micros;
    *ret_used = 11 + used;
    return true;
}

bool weir_text_date(const char *text, size_t size, int32_t *ret_days)
{
    int64_t days;

    if (size != 10 || !date_read(text, &days))
        return false;
    *ret_days = (int32_t)days;
    return true;
}

bool weir_text_time(const char *text, size_t size, int64_t *ret_micros)
{
    int64_t micros;
    size_t used;

    if (!time_read(text, size, &micros, &used) || used != size)
        return false;
    *ret_micros = micros;
    return true;
}

bool weir_text_timestamp(const char *text, size_t size, int64_t *ret_micros)
{
    int64_t micros;
    size_t used;

    if (!moment_read(text, size, &micros, &used) || used != size)
        return false;
    *ret_micros = micros;
    return true;
}

bool weir_text_timestamptz(const char *text, size_t size, int64_t *ret_micros)
{
    int64_t micros, offset;
    size_t used;

    if (!moment_read(text, size, &micros, &used) || !offset_read(text + used, size - used, &offset))
        return false;
    *ret_micros = micros - offset;
    return true;
}

/* "1h30m": whole numbers, each with a unit smaller than the one before. */
bool weir_text_duration_ms(const char *text, size_t size, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000},
                 {"m", 60000},     {"s", 1000},     {"ms", 1}};
    int64_t sum = 0, last = INT64_MAX;
    size_t at = 0;

    if (size == 0)
        return false;
    while (at < size) {
        int64_t count, unit_ms = 0, part;
        size_t first = at, unit;
        while (at < size && (unsigned char)(text[at] - '0') < 10)
            at++;
        if (!weir_text_int64(text + first, at - first, &count))
            return false;
        unit = at;
        while (at < size && (unsigned char)(text[at] - '0') >= 10)
            at++;
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strlen(units[i].name) == at - unit &&
                memcmp(units[i].name, text + unit, at - unit) == 0)
                unit_ms = units[i].ms;
        if (unit_ms == 0 || unit_ms >= last || __builtin_mul_overflow(count, unit_ms, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return false;
        last = unit_ms;
    }
    *ret_ms = sum;
    return true;
}

/* ---- printing -------------------------------------------------------------------------------- */

static size_t print_pair(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
    return 2;
}

static size_t date_print(char *out, int64_t days)
{
    int64_t year;
    unsigned month, day;
    size_t size = 0;

    weir_days_to_civil(days, &year, &month, &day);
    if (year >= 0 && year <= 9999) {
        size += print_pair(out, (unsigned)year / 100);
        size += print_pair(out + size, (unsigned)year % 100);
    } else {
        size = (size_t)snprintf(out, 21, year < 0 ? "-%04lld" : "+%lld",
                                (long long)(year < 0 ? -year : year));
    }
    out[size++] = '-';
    size += print_pair(out + size, month);
    out[size++] = '-';
    return size + print_pair(out + size, day);
}

static size_t time_print(char *out, int64_t micros)
{
    unsigned seconds = (unsigned)(micros / 1000000), fraction = (unsigned)(micros % 1000000);
    size_t size = 0;

    size += print_pair(out, seconds / 3600);
    out[size++] = ':';
    size += print_pair(out + size, seconds / 60 % 60);
    out[size++] = ':';
    size += print_pair(out + size, seconds % 60);
    if (fraction > 0) {
        out[size++] = '.';
        size += print_pair(out + size, fraction / 10000);
        size += print_pair(out + size, fraction / 100 % 100);
        size += print_pair(out + size, fraction % 100);
        while (out[size - 1] == '0')
            size--;
    }
    return size;
}

size_t weir_print_date(char *out, int32_t days)
{
    size_t size = date_print(out, days);

    out[size] = 0;
    return size;
}

/* Out-of-day values, which no parser makes, are shown by their remainder, so that the buffer
 * suffices. */
size_t weir_print_time(char *out, int64_t micros)
{
    size_t size = time_print(out, (micros % DAY_MICROS + DAY_MICROS) % DAY_MICROS);

    out[size] = 0;
    return size;
}

size_t weir_print_timestamp(char *out, int64_t micros)
{
    int64_t days = micros / DAY_MICROS, rest = micros % DAY_MICROS;
    size_t size;

    if (rest < 0) {
        rest += DAY_MICROS;
        days--;
    }
    size = date_print(out, days);
    out[size++] = 'T';
    size += time_print(out + size, rest);
    out[size] = 0;
    return size;
}

size_t weir_print_timestamptz(char *out, int64_t micros)
{
    size_t size = weir_print_timestamp(out, micros);

    out[size++] = 'Z';
    out[size] = 0;
    return size;
}
