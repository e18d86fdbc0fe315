/* printf (C's pattern, as DuckDB has it) and format (PostgreSQL's: %s %I %L). The pattern is a
 * constant, read once into pieces; each piece has an argument of its own, cast to what it prints.
 */
#include "engine/expr/function_int.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_MAX     1000
#define PRECISION_MAX 100

struct piece { /* text, then a value */
    struct weir_bytes before;
    char conversion;   /* s I L d u x X o f F e E g G; 0: none, the pattern ends */
    uint32_t argument; /* number among those given, from 0 */
    bool left, comma;
    int width, precision; /* precision -1: none */
    char number[16];      /* numbers: C's pattern with * for width and precision */
};

struct pattern {
    struct piece *pieces;
    uint32_t count;
};

/* ---- the pattern ---- */

struct reader {
    const uint8_t *at, *end;
    const char *wrong; /* NULL: nothing yet */
    bool sql;          /* format */
    uint32_t next;     /* argument, where none is given */
};

static int number_of(struct reader *reader, int most, const char *wrong)
{
    int number = 0;
    while (reader->at < reader->end && isdigit(*reader->at)) {
        number = number * 10 + *reader->at++ - '0';
        if (number > most) {
            reader->wrong = wrong;
            return 0;
        }
    }
    return number;
}

static void read_flags(struct reader *reader, struct piece *piece, char *flags)
{
    size_t used = 0;
    for (; reader->at < reader->end && strchr("-+ 0#,", *reader->at) && *reader->at; reader->at++) {
        char flag = (char)*reader->at;
        piece->left = piece->left || flag == '-';
        piece->comma = piece->comma || flag == ',';
        if (flag != ',' && !memchr(flags, flag, used))
            flags[used++] = flag;
    }
    flags[used] = 0;
}

/* Behind %: n$, flags, width, precision, conversion. */
static void read_piece(struct reader *reader, struct piece *piece)
{
    char flags[8];
    const uint8_t *start = reader->at;
    int given = number_of(reader, 1000, "a number of an argument beyond 1000");
    bool numbered = given && reader->at < reader->end && *reader->at == '$';
    reader->at = numbered ? reader->at + 1 : start;
    read_flags(reader, piece, flags);
    piece->width = number_of(reader, WIDTH_MAX, "a width beyond 1000");
    piece->precision = -1;
    if (reader->at < reader->end && *reader->at == '.') {
        reader->at++;
        piece->precision = number_of(reader, PRECISION_MAX, "a precision beyond 100");
    }
    while (reader->at < reader->end && (*reader->at == 'l' || *reader->at == 'h'))
        reader->at++;
    char conversion = reader->at < reader->end ? (char)*reader->at++ : 0;
    conversion = conversion == 'i' && !reader->sql ? 'd' : conversion;
    if (!conversion || !strchr(reader->sql ? "sIL" : "sduxXofFeEgG", conversion)) {
        reader->wrong = reader->sql ? "of conversions there are %s, %I, %L and %%"
                                    : "of conversions there are %s %d %i %u %x %X %o %f %e %g %%";
        return;
    }
    piece->conversion = conversion;
    piece->argument = numbered ? (uint32_t)given - 1 : reader->next;
    reader->next = piece->argument + 1;
    bool whole = strchr("duxXo", conversion) != NULL;
    snprintf(piece->number, sizeof piece->number, "%%%s*.*%s%c", flags, whole ? "j" : "",
             conversion);
}

static weir_status read_pattern(struct weir_arena *arena, struct weir_bytes text,
                                struct reader *reader, struct pattern *ret,
                                struct weir_error *reterr)
{
    uint32_t most = 1;
    for (size_t i = 0; i < text.size; i++)
        most += text.data[i] == '%';
    WEIR_TRY(weir_arena_zero(arena, most, sizeof *ret->pieces, &ret->pieces, reterr));
    reader->at = text.data;
    reader->end = text.data + text.size;
    while (!reader->wrong) {
        struct piece *piece = &ret->pieces[ret->count++];
        const uint8_t *percent = reader->at < reader->end
                                     ? memchr(reader->at, '%', (size_t)(reader->end - reader->at))
                                     : NULL;
        const uint8_t *until = percent ? percent : reader->end;
        piece->before = (struct weir_bytes){reader->at, (size_t)(until - reader->at)};
        if (!percent)
            return WEIR_OK;
        reader->at = percent + 1;
        if (reader->at < reader->end && *reader->at == '%') {
            piece->before.size++; /* one of the two is printed */
            reader->at++;
        } else {
            read_piece(reader, piece);
        }
    }
    return WEIR_OK;
}

/* ---- binding ---- */

static weir_status piece_argument(struct weir_arena *arena, const struct weir_node *call,
                                  struct piece *piece, struct weir_node **ret,
                                  struct weir_error *reterr)
{
    struct weir_type type = {.id = strchr("sIL", piece->conversion)     ? WEIR_STRING
                                   : strchr("duxXo", piece->conversion) ? WEIR_LONG
                                                                        : WEIR_DOUBLE};
    struct weir_node *node;
    if (piece->argument + 1 >= call->argument_count)
        return weir_fail(reterr, WEIR_USAGE, "%s: the pattern asks for value %u, there are %u",
                         call->function->name, piece->argument + 1, call->argument_count - 1);
    WEIR_TRY(
        weir_node_copy(arena, call->arguments[piece->argument + 1], NULL, NULL, &node, reterr));
    bool text = type.id == WEIR_STRING;
    weir_status status = weir_node_cast(arena, node, &type, !text, false, ret, reterr);
    if (status == WEIR_USAGE)
        return weir_fail(reterr, WEIR_USAGE, "%s: %%%c does not take a %s", call->function->name,
                         piece->conversion, weir_type_name(node->type.id));
    return status;
}

static weir_status bind_pattern(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    struct reader reader = {.sql = call->function->name[0] == 'f'};
    struct pattern *pattern;
    struct weir_node **arguments;
    uint32_t used = 1;
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    WEIR_TRY(weir_node_fold(arena, call->arguments[0], &call->arguments[0], reterr));
    const struct weir_node *text = call->arguments[0];
    if (text->kind != WEIR_NODE_CONSTANT)
        return weir_fail(reterr, WEIR_USAGE, "%s: the pattern is a constant", call->function->name);
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *pattern, &pattern, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    call->prepared = pattern;
    if (!weir_vector_valid(&text->value, 0)) {
        call->argument_count = 1;
        return WEIR_OK;
    }
    struct weir_lane lane = weir_lane_of(&text->value);
    WEIR_TRY(read_pattern(arena, weir_lane_bytes(&lane, 0), &reader, pattern, reterr));
    if (reader.wrong)
        return weir_fail(reterr, WEIR_USAGE, "%s: %s", call->function->name, reader.wrong);
    WEIR_TRY(
        weir_arena_zero(arena, (size_t)pattern->count + 1, sizeof *arguments, &arguments, reterr));
    arguments[0] = call->arguments[0];
    for (uint32_t i = 0; i < pattern->count; i++)
        if (pattern->pieces[i].conversion)
            WEIR_TRY(piece_argument(arena, call, &pattern->pieces[i], &arguments[used++], reterr));
    call->arguments = arguments;
    call->argument_count = used;
    return WEIR_OK;
}

/* ---- values ---- */

static weir_status pad(struct weir_buffer *out, size_t count, struct weir_error *reterr)
{
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_buffer_append(out, " ", 1, reterr));
    return WEIR_OK;
}

static weir_status put_text(struct weir_buffer *out, const struct piece *piece,
                            struct weir_bytes text, struct weir_error *reterr)
{
    size_t size = 0, count = 0, most = piece->precision < 0 ? SIZE_MAX : (size_t)piece->precision;
    while (size < text.size) {
        bool starts = (text.data[size] & 0xC0) != 0x80;
        if (starts && count == most)
            break;
        count += starts;
        size++;
    }
    size_t room = (size_t)piece->width > count ? (size_t)piece->width - count : 0;
    if (!piece->left)
        WEIR_TRY(pad(out, room, reterr));
    WEIR_TRY(weir_buffer_append(out, text.data, size, reterr));
    return piece->left ? pad(out, room, reterr) : WEIR_OK;
}

/* 1234567 -> 1,234,567, then the width. */
static weir_status put_commas(struct weir_buffer *out, const struct piece *piece, char *digits,
                              struct weir_error *reterr)
{
    char made[96];
    size_t whole = strspn(digits, "+-"), used = 0, end = whole;
    while (isdigit((unsigned char)digits[end]))
        end++;
    for (size_t i = 0; digits[i] && used + 2 < sizeof made; i++) {
        if (i > whole && i < end && (end - i) % 3 == 0)
            made[used++] = ',';
        made[used++] = digits[i];
    }
    struct piece plain = *piece;
    plain.precision = -1;
    return put_text(out, &plain, (struct weir_bytes){(const uint8_t *)made, used}, reterr);
}

static weir_status put_number(struct weir_buffer *out, const struct piece *piece,
                              const struct weir_lane *lane, uint32_t row, struct weir_error *reterr)
{
    char text[WIDTH_MAX + PRECISION_MAX + 512];
    uint32_t at = weir_lane(lane, row);
    int width = piece->comma ? 0 : piece->width, size;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* made by read_piece, of known parts only */
    if (lane->flat->type->id == WEIR_LONG)
        size = snprintf(text, sizeof text, piece->number, width, piece->precision,
                        (intmax_t)((const int64_t *)lane->flat->values)[at]);
    else
        size = snprintf(text, sizeof text, piece->number, width, piece->precision,
                        ((const double *)lane->flat->values)[at]);
#pragma GCC diagnostic pop
    if (piece->comma && size < 60)
        return put_commas(out, piece, text, reterr);
    return weir_buffer_append(out, text, (size_t)size, reterr);
}

/* PostgreSQL's quote_ident and quote_literal. */
static weir_status put_quoted(struct weir_buffer *out, const struct piece *piece,
                              struct weir_bytes text, struct weir_error *reterr)
{
    char quote = piece->conversion == 'I' ? '"' : '\'';
    bool plain = quote == '"' && text.size > 0 && !isdigit(text.data[0]),
         escaped = quote == '\'' && text.size && memchr(text.data, '\\', text.size);
    WEIR_AUTO(weir_buffer) made = {.account = out->account};
    for (size_t i = 0; i < text.size && plain; i++)
        plain = islower(text.data[i]) || isdigit(text.data[i]) || text.data[i] == '_';
    if (plain)
        return put_text(out, piece, text, reterr);
    WEIR_TRY(weir_buffer_print(&made, reterr, "%s%c", escaped ? "E" : "", quote));
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == (uint8_t)quote || (escaped && text.data[i] == '\\'))
            WEIR_TRY(weir_buffer_append(&made, &text.data[i], 1, reterr));
        WEIR_TRY(weir_buffer_append(&made, &text.data[i], 1, reterr));
    }
    WEIR_TRY(weir_buffer_append(&made, &quote, 1, reterr));
    return put_text(out, piece, (struct weir_bytes){made.data, made.size}, reterr);
}

static weir_status put_value(struct weir_evaluation *evaluation, const struct weir_node *call,
                             struct weir_buffer *out, const struct piece *piece,
                             const struct weir_lane *lane, uint32_t row, struct weir_error *reterr)
{
    static const struct weir_bytes null = {(const uint8_t *)"NULL", 4}, none = {0};
    bool text = strchr("sIL", piece->conversion) != NULL;
    if (!weir_lane_valid(lane, row)) { /* of format only: printf is strict */
        if (piece->conversion == 'I')
            return weir_evaluation_fail(evaluation, call, row, reterr,
                                        "format: null is no name for %%I");
        return put_text(out, piece, piece->conversion == 'L' ? null : none, reterr);
    }
    if (!text)
        return put_number(out, piece, lane, row, reterr);
    return piece->conversion == 's' ? put_text(out, piece, weir_lane_bytes(lane, row), reterr)
                                    : put_quoted(out, piece, weir_lane_bytes(lane, row), reterr);
}

static weir_status print_row(struct weir_evaluation *evaluation, const struct weir_node *call,
                             struct weir_buffer *out, const struct weir_lane *lanes, uint32_t row,
                             struct weir_error *reterr)
{
    const struct pattern *pattern = call->prepared;
    uint32_t used = 1;
    for (uint32_t i = 0; i < pattern->count; i++) {
        const struct piece *piece = &pattern->pieces[i];
        if (piece->before.size)
            WEIR_TRY(weir_buffer_append(out, piece->before.data, piece->before.size, reterr));
        if (piece->conversion)
            WEIR_TRY(put_value(evaluation, call, out, piece, &lanes[used++], row, reterr));
    }
    return WEIR_OK;
}

static weir_status evaluate_pattern(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane *lanes;
    WEIR_TRY(
        weir_arena_zero(evaluation->arena, call->argument_count, sizeof *lanes, &lanes, reterr));
    for (uint32_t a = 0; a < call->argument_count; a++)
        lanes[a] = weir_lane_of(&arguments[a]);
    if (!(call->function->flags & WEIR_FUNCTION_STRICT))
        WEIR_TRY(expr_merge_validity(evaluation, &arguments[0], &ret->validity, reterr));
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        bool skip = (ret->validity && !weir_bit_get(ret->validity, i)) ||
                    (evaluation->failed && weir_bit_get(evaluation->failed, i));
        if (!skip)
            status = print_row(evaluation, call, &writer.buffer, lanes, i, reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

const struct weir_function functions_printf[] = {
    {"printf", "strings", "printf(pattern, a, b, ...)",
     "C's: %s %d %x %o %f %e %g with flags, width, precision; %,d; %2$s", WEIR_FUNCTION_STRICT, 1,
     -1, bind_pattern, evaluate_pattern, NULL},
    {"format", "strings", "format(pattern, a, b, ...)",
     "PostgreSQL's: %s as text, %I as a name, %L as a literal", 0, 1, -1, bind_pattern,
     evaluate_pattern, NULL},
    {0},
};
