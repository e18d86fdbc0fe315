/* Casts that need more than a line: intervals from text, bytes. */
#include "engine/expr/function_int.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct unit {
    const char *name;
    double months, days, micros;
} units[] = {{"microsecond", 0, 0, 1}, {"us", 0, 0, 1},       {"millisecond", 0, 0, 1e3},
             {"ms", 0, 0, 1e3},        {"second", 0, 0, 1e6}, {"sec", 0, 0, 1e6},
             {"s", 0, 0, 1e6},         {"minute", 0, 0, 6e7}, {"min", 0, 0, 6e7},
             {"m", 0, 0, 6e7},         {"hour", 0, 0, 3.6e9}, {"hr", 0, 0, 3.6e9},
             {"h", 0, 0, 3.6e9},       {"day", 0, 1, 0},      {"d", 0, 1, 0},
             {"week", 0, 7, 0},        {"w", 0, 7, 0},        {"month", 1, 0, 0},
             {"mon", 1, 0, 0},         {"quarter", 3, 0, 0},  {"year", 12, 0, 0},
             {"yr", 12, 0, 0},         {"y", 12, 0, 0},       {"decade", 120, 0, 0},
             {"century", 1200, 0, 0}};

static const struct unit *find_unit(const char *text, size_t size)
{
    for (int plural = 0; plural < 2; plural++)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            size_t length = strlen(units[i].name);
            bool end = size == length + (size_t)plural &&
                       (!plural || tolower(text[size - 1]) == 's');
            if (end && strncasecmp(text, units[i].name, length) == 0)
                return &units[i];
        }
    return NULL;
}

struct sum {
    double months, days, micros;
};

/* hh:mm[:ss[.f]] */
static bool clock_part(const char *text, size_t size, bool minus, struct sum *sum)
{
    double parts[3] = {0};
    int count = 0;
    char buffer[40];
    if (size >= sizeof buffer)
        return false;
    memcpy(buffer, text, size);
    buffer[size] = 0;
    for (char *at = buffer; count < 3; at++) {
        char *end;
        parts[count++] = strtod(at, &end);
        if (end == at)
            return false;
        at = end;
        if (*at == 0)
            break;
        if (*at != ':')
            return false;
    }
    double micros = rint((parts[0] * 3600 + parts[1] * 60 + parts[2]) * 1e6);
    sum->micros += minus ? -micros : micros;
    return count > 1;
}

static bool add_part(const char *number, size_t number_size, const struct unit *unit,
                     struct sum *sum)
{
    double value;
    if (!weir_text_double(number, number_size, &value))
        return false;
    double months = value * unit->months, days = value * unit->days;
    if (months != trunc(months)) {
        days += (months - trunc(months)) * 30;
        months = trunc(months);
    }
    sum->months += months;
    sum->days += trunc(days);
    sum->micros += rint((days - trunc(days)) * 86400e6) + rint(value * unit->micros);
    return true;
}

/* P1Y2M3DT4H5M6S */
static bool iso_form(const char *text, size_t size, struct sum *sum)
{
    bool time = false, any = false;
    for (size_t at = 1; at < size;) {
        size_t from = at;
        if (text[at] == 'T') {
            time = true;
            at++;
            continue;
        }
        while (at < size && (isdigit((unsigned char)text[at]) || strchr("+-.", text[at])))
            at++;
        if (at == from || at == size)
            return false;
        const char *name = text[at] == 'Y'            ? "year"
                           : text[at] == 'M' && !time ? "month"
                           : text[at] == 'W'          ? "week"
                           : text[at] == 'D'          ? "day"
                           : text[at] == 'H'          ? "hour"
                           : text[at] == 'M'          ? "minute"
                           : text[at] == 'S'          ? "second"
                                                      : NULL;
        if (!name || !add_part(text + from, at - from, find_unit(name, strlen(name)), sum))
            return false;
        any = true;
        at++;
    }
    return any;
}

static bool words_form(const char *text, size_t size, struct sum *sum)
{
    bool any = false;
    for (size_t at = 0; at < size;) {
        if (isspace((unsigned char)text[at])) {
            at++;
            continue;
        }
        size_t from = at, end;
        bool minus = text[at] == '-', sign = minus || text[at] == '+';
        if (any && size - at >= 3 && strncasecmp(text + at, "ago", 3) == 0) {
            *sum = (struct sum){-sum->months, -sum->days, -sum->micros};
            at += 3;
            continue;
        }
        while (at < size && (isdigit((unsigned char)text[at]) || strchr("+-.:", text[at])))
            at++;
        if (at == from)
            return false;
        end = at;
        if (memchr(text + from, ':', end - from)) {
            if (!clock_part(text + from + sign, end - from - sign, minus, sum))
                return false;
            any = true;
            continue;
        }
        while (at < size && isspace((unsigned char)text[at]))
            at++;
        size_t word = at;
        while (at < size && isalpha((unsigned char)text[at]))
            at++;
        const struct unit *unit = at > word ? find_unit(text + word, at - word)
                                            : find_unit("second", 6);
        bool plus = text[from] == '+';
        if (!unit || !add_part(text + from + plus, end - from - plus, unit, sum))
            return false;
        any = true;
    }
    return any;
}

bool text_interval(const char *text, size_t size, struct weir_interval *ret)
{
    struct sum sum = {0};
    bool good = size > 1 && *text == 'P' ? iso_form(text, size, &sum)
                                         : words_form(text, size, &sum);
    if (!good || fabs(sum.months) > INT32_MAX || fabs(sum.days) > INT32_MAX ||
        fabs(sum.micros) > 9e18)
        return false;
    *ret = (struct weir_interval){(int32_t)sum.months, (int32_t)sum.days, (int64_t)sum.micros};
    return true;
}

weir_status bytes_to_binary(struct weir_evaluation *evaluation, const struct weir_vector *from,
                            struct weir_vector *ret, struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane lane = weir_lane_of(from);
    weir_status status = text_begin(&writer, evaluation, ret->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (weir_lane_valid(&lane, i)) {
            struct weir_bytes bytes = weir_lane_bytes(&lane, i);
            status = weir_buffer_append(&writer.buffer, bytes.data, bytes.size, reterr);
        }
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}
