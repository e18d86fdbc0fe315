/* Times printed and read by a pattern: strftime's (%Y-%m-%d) and PostgreSQL's (YYYY-MM-DD). Both
 * are the same tokens under other names. */
#include "engine/expr/function_int.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY    86400000000LL
#define HOUR   3600000000LL
#define MINUTE 60000000LL
#define SECOND 1000000LL

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* Codes are strftime's; of our own: 'Q' quarter, 'D' day of the week from 1, 'C' century. */
struct token {
    char code;    /* 0: `literal` as it is */
    char literal; /* one byte */
    bool plain;   /* no zeros or blanks to fill up */
    bool wide;    /* names filled up to nine letters */
    char letters; /* 'U' upper, 'l' lower, 0 as names are written */
};

static const struct {
    const char *name;
    char code, wide, letters;
} sql_words[] = {
    {"YYYY", 'Y', 0, 0},  {"IYYY", 'G', 0, 0},    {"YY", 'y', 0, 0},    {"MONTH", 'B', 1, 'U'},
    {"Month", 'B', 1, 0}, {"month", 'B', 1, 'l'}, {"MON", 'b', 0, 'U'}, {"Mon", 'b', 0, 0},
    {"mon", 'b', 0, 'l'}, {"MM", 'm', 0, 0},      {"MI", 'M', 0, 0},    {"MS", 'g', 0, 0},
    {"DDD", 'j', 0, 0},   {"DD", 'd', 0, 0},      {"DAY", 'A', 1, 'U'}, {"Day", 'A', 1, 0},
    {"day", 'A', 1, 'l'}, {"DY", 'a', 0, 'U'},    {"Dy", 'a', 0, 0},    {"dy", 'a', 0, 'l'},
    {"D", 'D', 0, 0},     {"HH24", 'H', 0, 0},    {"HH12", 'I', 0, 0},  {"HH", 'I', 0, 0},
    {"SS", 'S', 0, 0},    {"US", 'f', 0, 0},      {"AM", 'p', 0, 'U'},  {"PM", 'p', 0, 'U'},
    {"am", 'p', 0, 'l'},  {"pm", 'p', 0, 'l'},    {"Q", 'Q', 0, 0},     {"IW", 'V', 0, 0},
    {"CC", 'C', 0, 0},    {"ID", 'u', 0, 0},      {"yyyy", 'Y', 0, 0},  {"yy", 'y', 0, 0},
    {"mm", 'm', 0, 0},    {"mi", 'M', 0, 0},      {"ms", 'g', 0, 0},    {"ddd", 'j', 0, 0},
    {"dd", 'd', 0, 0},    {"hh24", 'H', 0, 0},    {"hh12", 'I', 0, 0},  {"hh", 'I', 0, 0},
    {"ss", 'S', 0, 0},    {"us", 'f', 0, 0}};

static size_t sql_token(struct weir_bytes pattern, struct token *ret)
{
    size_t skip = 0;
    if (pattern.size > 2 && strncasecmp((const char *)pattern.data, "FM", 2) == 0) {
        ret->plain = true;
        skip = 2;
    }
    for (size_t i = 0; i < sizeof sql_words / sizeof *sql_words; i++) {
        size_t size = strlen(sql_words[i].name);
        if (pattern.size - skip >= size &&
            memcmp(pattern.data + skip, sql_words[i].name, size) == 0) {
            ret->code = sql_words[i].code;
            ret->wide = sql_words[i].wide && !ret->plain;
            ret->letters = sql_words[i].letters;
            return skip + size;
        }
    }
    ret->plain = false;
    ret->literal = (char)pattern.data[0];
    return 1;
}

/* The next token; bytes it takes. 0: no such code. `quoted`: inside "..." of PostgreSQL's. */
static size_t next_token(struct weir_bytes pattern, bool sql, bool *quoted, struct token *ret)
{
    *ret = (struct token){.literal = (char)pattern.data[0]};
    if (sql) {
        if (pattern.data[0] == '"') {
            *quoted = !*quoted;
            ret->code = 'n'; /* nothing */
            return 1;
        }
        return *quoted ? 1 : sql_token(pattern, ret);
    }
    if (pattern.data[0] != '%')
        return 1;
    size_t at = 1;
    if (at < pattern.size && pattern.data[at] == '-') {
        ret->plain = true;
        at++;
    }
    if (at >= pattern.size)
        return 0;
    char code = (char)pattern.data[at];
    if (code == '%') {
        ret->literal = '%';
        return at + 1;
    }
    ret->code = code;
    return strchr("YymdHIMSfgpjaAbBwuGVzZFTxX", code) ? at + 1 : 0;
}

/* ---- printing ---- */

struct moment {
    int64_t days, micros, year;
    unsigned month, day;
};

static struct moment moment_of(int64_t value)
{
    struct moment made = {.days = value >= 0 ? value / DAY : -((DAY - 1 - value) / DAY)};
    made.micros = value - made.days * DAY;
    weir_days_to_civil(made.days, &made.year, &made.month, &made.day);
    return made;
}

static int weekday(int64_t at)
{
    return (int)(((at + 4) % 7 + 7) % 7);
}

static weir_status put_name(struct weir_buffer *out, const struct token *token, const char *name,
                            size_t size, struct weir_error *reterr)
{
    for (size_t i = 0; i < size; i++) {
        char letter = name[i];
        letter = token->letters == 'U'   ? (char)toupper(letter)
                 : token->letters == 'l' ? (char)tolower(letter)
                                         : letter;
        WEIR_TRY(weir_buffer_append(out, &letter, 1, reterr));
    }
    for (; token->wide && size < 9; size++)
        WEIR_TRY(weir_buffer_append(out, " ", 1, reterr));
    return WEIR_OK;
}

static weir_status put_number(struct weir_buffer *out, const struct token *token, int64_t value,
                              int width, struct weir_error *reterr)
{
    return weir_buffer_print(out, reterr, "%0*lld", token->plain ? 1 : width, (long long)value);
}

static int64_t iso_week(const struct moment *at, int64_t *ret_year)
{
    int64_t thursday = at->days - (weekday(at->days) + 6) % 7 + 3;
    unsigned month, day;
    weir_days_to_civil(thursday, ret_year, &month, &day);
    return (thursday - weir_days_from_civil(*ret_year, 1, 1)) / 7 + 1;
}

static weir_status put_time(struct weir_buffer *out, const struct token *token,
                            const struct moment *at, struct weir_error *reterr)
{
    int64_t hour = at->micros / HOUR, minute = at->micros % HOUR / MINUTE,
            second = at->micros % MINUTE / SECOND;
    switch (token->code) {
    case 'H': return put_number(out, token, hour, 2, reterr);
    case 'I': return put_number(out, token, hour % 12 ? hour % 12 : 12, 2, reterr);
    case 'M': return put_number(out, token, minute, 2, reterr);
    case 'S': return put_number(out, token, second, 2, reterr);
    case 'f': return put_number(out, token, at->micros % SECOND, 6, reterr);
    case 'g': return put_number(out, token, at->micros % SECOND / 1000, 3, reterr);
    case 'p': return put_name(out, token, hour < 12 ? "AM" : "PM", 2, reterr);
    case 'z': return weir_buffer_append(out, "+00", 3, reterr);
    case 'Z': return weir_buffer_append(out, "UTC", 3, reterr);
    default:
        return weir_buffer_print(out, reterr, "%02d:%02d:%02d", (int)hour, (int)minute,
                                 (int)second);
    }
}

static weir_status put_token(struct weir_buffer *out, const struct token *token,
                             const struct moment *at, struct weir_error *reterr)
{
    int64_t year, week;
    const char *name;
    switch (token->code) {
    case 0: return weir_buffer_append(out, &token->literal, 1, reterr);
    case 'n': return WEIR_OK;
    case 'Y': return put_number(out, token, at->year, 4, reterr);
    case 'y': return put_number(out, token, (at->year % 100 + 100) % 100, 2, reterr);
    case 'm': return put_number(out, token, at->month, 2, reterr);
    case 'd': return put_number(out, token, at->day, 2, reterr);
    case 'j':
        return put_number(out, token, at->days - weir_days_from_civil(at->year, 1, 1) + 1, 3,
                          reterr);
    case 'Q': return put_number(out, token, (at->month - 1) / 3 + 1, 1, reterr);
    case 'C': return put_number(out, token, (at->year + 99) / 100, 2, reterr);
    case 'D': return put_number(out, token, weekday(at->days) + 1, 1, reterr);
    case 'w': return put_number(out, token, weekday(at->days), 1, reterr);
    case 'u': return put_number(out, token, (weekday(at->days) + 6) % 7 + 1, 1, reterr);
    case 'G':
    case 'V':
        week = iso_week(at, &year);
        return put_number(out, token, token->code == 'G' ? year : week, token->code == 'G' ? 4 : 2,
                          reterr);
    case 'a': return put_name(out, token, days[weekday(at->days)], 3, reterr);
    case 'A':
        name = days[weekday(at->days)];
        return put_name(out, token, name, strlen(name), reterr);
    case 'b': return put_name(out, token, months[at->month - 1], 3, reterr);
    case 'B': name = months[at->month - 1]; return put_name(out, token, name, strlen(name), reterr);
    case 'F':
    case 'x':
        return weir_buffer_print(out, reterr, "%04lld-%02u-%02u", (long long)at->year, at->month,
                                 at->day);
    default: return put_time(out, token, at, reterr);
    }
}

static bool row_valid(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

/* strftime(time, pattern), either way round; to_char(time, pattern) */
static weir_status bind_print(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    struct weir_node **side = call->arguments;
    if (call->function->name[0] == 's' && side[0]->type.id == WEIR_STRING &&
        side[1]->type.id != WEIR_STRING) {
        struct weir_node *swap = side[0];
        side[0] = side[1];
        side[1] = swap;
    }
    enum weir_type_id id = side[0]->type.id;
    if (side[0]->unknown || id == WEIR_DATE)
        WEIR_TRY(bind_as(arena, call, 0, WEIR_TIMESTAMP, reterr));
    else if (id != WEIR_TIMESTAMP && id != WEIR_TIMESTAMPTZ)
        return bind_wrong(call, reterr);
    call->type = (struct weir_type){.id = WEIR_STRING};
    return bind_as(arena, call, 1, WEIR_STRING, reterr);
}

static weir_status print_row(struct weir_buffer *out, int64_t value, struct weir_bytes pattern,
                             bool sql, bool *ret_good, struct weir_error *reterr)
{
    struct moment at = moment_of(value);
    struct token token;
    bool quoted = false;
    *ret_good = true;
    while (pattern.size) {
        size_t size = next_token(pattern, sql, &quoted, &token);
        *ret_good = size > 0;
        if (!size)
            return WEIR_OK;
        WEIR_TRY(put_token(out, &token, &at, reterr));
        pattern.data += size;
        pattern.size -= size;
    }
    return WEIR_OK;
}

static weir_status evaluate_print(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane lane = weir_lane_of(&arguments[0]), pattern = weir_lane_of(&arguments[1]);
    bool sql = call->function->name[0] == 't', good = true;
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (row_valid(ret, i)) {
            status = print_row(&writer.buffer,
                               ((const int64_t *)lane.flat->values)[weir_lane(&lane, i)],
                               weir_lane_bytes(&pattern, i), sql, &good, reterr);
            if (status == WEIR_OK && !good)
                status = weir_evaluation_fail(evaluation, call, i, reterr,
                                              "there is no such code in a pattern of times");
        }
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- reading ---- */

struct reading {
    struct weir_bytes text;
    int64_t year, month, day, day_of_year, hour, minute, second, micros, offset;
    bool twelve, afternoon;
};

static bool take_number(struct weir_bytes *text, size_t most, int64_t *ret, size_t *ret_digits)
{
    size_t at = 0;
    int64_t value = 0;
    for (; at < text->size && at < most && isdigit(text->data[at]); at++)
        value = value * 10 + (text->data[at] - '0');
    text->data += at;
    text->size -= at;
    *ret = value;
    *ret_digits = at;
    return at > 0;
}

/* A name of the table, whole or its first three letters; its number from 0. */
static bool take_name(struct weir_bytes *text, const char *const *names, int count, int64_t *ret)
{
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < count; i++) {
            size_t size = pass ? 3 : strlen(names[i]);
            if (text->size >= size && strncasecmp((const char *)text->data, names[i], size) == 0) {
                text->data += size;
                text->size -= size;
                *ret = i;
                return true;
            }
        }
    return false;
}

static bool take_offset(struct weir_bytes *text, int64_t *ret)
{
    int64_t hours, minutes = 0;
    size_t digits;
    if (text->size && (text->data[0] | 0x20) == 'z') {
        text->data++;
        text->size--;
        return true;
    }
    if (!text->size || (text->data[0] != '+' && text->data[0] != '-'))
        return false;
    int sign = text->data[0] == '-' ? -1 : 1;
    text->data++;
    text->size--;
    if (!take_number(text, 2, &hours, &digits))
        return false;
    if (text->size && text->data[0] == ':') {
        text->data++;
        text->size--;
    }
    take_number(text, 2, &minutes, &digits);
    *ret = sign * (hours * 60 + minutes);
    return hours < 24 && minutes < 60;
}

static bool read_token(struct reading *reading, const struct token *token)
{
    struct weir_bytes *text = &reading->text;
    size_t digits;
    int64_t number;
    switch (token->code) {
    case 'n': return true;
    case 0:
        if (!text->size || text->data[0] != (uint8_t)token->literal)
            return false;
        text->data++;
        text->size--;
        return true;
    case 'Y': return take_number(text, 4, &reading->year, &digits);
    case 'y':
        if (!take_number(text, 2, &number, &digits))
            return false;
        reading->year = number + (number < 69 ? 2000 : 1900);
        return true;
    case 'm': return take_number(text, 2, &reading->month, &digits);
    case 'd': return take_number(text, 2, &reading->day, &digits);
    case 'j': return take_number(text, 3, &reading->day_of_year, &digits);
    case 'I': reading->twelve = true; return take_number(text, 2, &reading->hour, &digits);
    case 'H': return take_number(text, 2, &reading->hour, &digits);
    case 'M': return take_number(text, 2, &reading->minute, &digits);
    case 'S': return take_number(text, 2, &reading->second, &digits);
    case 'f':
    case 'g':
        if (!take_number(text, token->code == 'f' ? 6 : 3, &number, &digits))
            return false;
        for (; digits < 6; digits++)
            number *= 10;
        reading->micros = number;
        return true;
    case 'a':
    case 'A': return take_name(text, days, 7, &number);
    case 'b':
    case 'B':
        if (!take_name(text, months, 12, &number))
            return false;
        reading->month = number + 1;
        return true;
    case 'p':
        if (text->size < 2 || (text->data[1] | 0x20) != 'm')
            return false;
        reading->afternoon = (text->data[0] | 0x20) == 'p';
        text->data += 2;
        text->size -= 2;
        return true;
    case 'z': return take_offset(text, &reading->offset);
    default: return false;
    }
}

static bool assemble(const struct reading *reading, int64_t *ret)
{
    static const uint8_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t hour = reading->hour, year, at;
    unsigned month, day;
    if (reading->twelve) {
        if (hour < 1 || hour > 12)
            return false;
        hour = hour % 12 + (reading->afternoon ? 12 : 0);
    }
    if (reading->month < 1 || reading->month > 12 || reading->day < 1 ||
        reading->day > lengths[reading->month - 1] || hour > 23 || reading->minute > 59 ||
        reading->second > 59 || reading->day_of_year > 366)
        return false;
    at = weir_days_from_civil(reading->year, (unsigned)reading->month, (unsigned)reading->day);
    weir_days_to_civil(at, &year, &month, &day);
    if (day != reading->day)
        return false;
    if (reading->day_of_year)
        at = weir_days_from_civil(reading->year, 1, 1) + reading->day_of_year - 1;
    *ret = at * DAY + hour * HOUR + (reading->minute - reading->offset) * MINUTE +
           reading->second * SECOND + reading->micros;
    return true;
}

static bool read_row(struct weir_bytes text, struct weir_bytes pattern, bool sql, int64_t *ret)
{
    struct reading reading = {.text = text, .year = 1900, .month = 1, .day = 1};
    struct token token;
    bool quoted = false;
    if (sql)
        reading.year = 1;
    while (pattern.size) {
        size_t size = next_token(pattern, sql, &quoted, &token);
        if (!size)
            return false;
        struct token parts[5] = {token};
        int count = 1;
        if (token.code == 'F' || token.code == 'x' || token.code == 'T' || token.code == 'X') {
            bool date = token.code == 'F' || token.code == 'x';
            char sign = date ? '-' : ':';
            const char *codes = date ? "Ymd" : "HMS";
            for (count = 0; count < 5; count++)
                parts[count] = count % 2 ? (struct token){.literal = sign}
                                         : (struct token){.code = codes[count / 2]};
        }
        for (int i = 0; i < count; i++)
            if (!read_token(&reading, &parts[i]))
                return false;
        pattern.data += size;
        pattern.size -= size;
    }
    return reading.text.size == 0 && assemble(&reading, ret);
}

static weir_status bind_read(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    const char *name = call->function->name;
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    WEIR_TRY(bind_as(arena, call, 1, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = strcmp(name, "to_date") == 0 ? WEIR_DATE
                                                                       : WEIR_TIMESTAMP};
    return WEIR_OK;
}

static weir_status evaluate_read(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane text = weir_lane_of(&arguments[0]), pattern = weir_lane_of(&arguments[1]);
    bool try = call->function->name[1] == 'r', sql = call->function->name[1] == 'o';
    uint8_t *nulls = NULL;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t micros = 0;
        if (row_valid(ret, i) &&
            !read_row(weir_lane_bytes(&text, i), weir_lane_bytes(&pattern, i), sql, &micros)) {
            if (!try)
                WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                              "a text that is not of the pattern"));
            else if (!nulls)
                WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &nulls, reterr));
            if (try)
                weir_bit_set(nulls, i);
        }
        if (call->type.id == WEIR_DATE)
            ((int32_t *)ret->values)[i] = (int32_t)(micros >= 0 ? micros / DAY
                                                                : -((DAY - 1 - micros) / DAY));
        else
            ((int64_t *)ret->values)[i] = micros;
    }
    if (!nulls)
        return WEIR_OK;
    for (size_t b = 0; b < ((size_t)evaluation->count + 7) / 8; b++)
        nulls[b] = (uint8_t)(~nulls[b] & (ret->validity ? ret->validity[b] : 0xff));
    ret->validity = nulls;
    return WEIR_OK;
}

#define TIME(name, signature, doc, bind, evaluate)                                                 \
    {                                                                                              \
        name, "times", signature, doc, WEIR_FUNCTION_STRICT, 2, 2, bind, evaluate, NULL            \
    }

const struct weir_function functions_format[] = {
    TIME("strftime", "strftime(time, pattern)",
         "as text: %Y %m %d %H %M %S %f %g %I %p %j %a %A %b %B %y %u %w %G %V, %-d without zeros",
         bind_print, evaluate_print),
    TIME("to_char", "to_char(time, pattern)",
         "as text by PostgreSQL's pattern: YYYY MM DD HH24 MI SS MS US Mon Month Dy Day AM Q IW",
         bind_print, evaluate_print),
    TIME("strptime", "strptime(text, pattern)", "the time stamp that strftime prints so", bind_read,
         evaluate_read),
    TIME("try_strptime", "try_strptime(text, pattern)",
         "the time stamp that strftime prints so, or null", bind_read, evaluate_read),
    TIME("to_date", "to_date(text, pattern)", "the date that to_char prints so", bind_read,
         evaluate_read),
    {0},
};
