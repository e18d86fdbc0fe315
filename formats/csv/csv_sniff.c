/* How a file is written, found out from its beginning: each dialect that may be is tried, the one
 * that makes the most alike records of more than one field wins; then types that hold every value,
 * and whether the first record can be one of them or must be names. */
#include "formats/csv/csv_int.h"

#define RECORDS_MAX 1000u /* looked at */

struct sample {
    struct weir_arena *arena;
    const uint8_t *data;
    size_t size;
    bool whole;
    struct weir_bytes *records;
    uint32_t count;
};

/* ---- the dialect ---- */

struct verdict {
    uint32_t alike;   /* records of the most frequent number of fields */
    uint32_t columns; /* that number */
    uint32_t records;
    uint32_t quoted; /* fields */
};

static void cut(struct sample *sample, const struct weir_csv_dialect *dialect)
{
    size_t used;
    sample->count = weir_csv_split(dialect, sample->data, sample->size, sample->whole,
                                   sample->records, RECORDS_MAX, &used);
    if (sample->count == 0) /* the sample ends within its first record */
        sample->count = weir_csv_split(dialect, sample->data, sample->size, true, sample->records,
                                       1, &used);
}

/* The number of fields that most records have (of those seen first among equals). */
static struct verdict judge(struct sample *sample, const struct weir_csv_dialect *dialect)
{
    struct verdict verdict = {0};
    struct csv_field fields[64];
    uint32_t counts[RECORDS_MAX], position;
    cut(sample, dialect);
    for (uint32_t i = 0; i < sample->count; i++) {
        counts[i] = 0;
        if (csv_fields(dialect, sample->records[i], fields, 64, &counts[i], &position) !=
            CSV_FIELDS_OK)
            counts[i] = 0;
        for (uint32_t f = 0; f < counts[i] && f < 64; f++)
            verdict.quoted += fields[f].quoted;
    }
    for (uint32_t i = 0; i < sample->count; i++) {
        uint32_t alike = 0;
        if (counts[i] == 0 || counts[i] == verdict.columns)
            continue;
        for (uint32_t j = 0; j < sample->count; j++)
            alike += counts[j] == counts[i];
        if (alike > verdict.alike) {
            verdict.alike = alike;
            verdict.columns = counts[i];
        }
    }
    verdict.records = sample->count;
    if (verdict.columns > 1 && verdict.alike * 2 <= verdict.records)
        verdict.alike = verdict.columns = 0; /* text with delimiters here and there */
    if (dialect->quote == '\'' && verdict.quoted < verdict.records)
        verdict.quoted = 0; /* an apostrophe */
    return verdict;
}

/* Alike records count most, a file of one column least. */
static bool better(const struct verdict *a, const struct verdict *b)
{
    bool several_a = a->columns > 1, several_b = b->columns > 1;
    if (several_a != several_b)
        return several_a;
    uint64_t share_a = (uint64_t)a->alike * (b->records ? b->records : 1),
             share_b = (uint64_t)b->alike * (a->records ? a->records : 1);
    if (share_a != share_b)
        return share_a > share_b;
    if (a->columns != b->columns)
        return a->columns > b->columns;
    return a->quoted > b->quoted;
}

static void find_dialect(struct sample *sample, const struct weir_csv_dialect *given,
                         struct weir_csv_dialect *dialect)
{
    static const char delimiters[] = {',', '\t', ';', '|'}, quotes[] = {'"', '\''},
                      escapes[] = {0, '\\'};
    struct verdict best = {0};
    const uint8_t *line = sample->size ? memchr(sample->data, '\n', sample->size) : NULL;
    struct weir_csv_dialect found = {.delimiter = ',',
                                     .quote = '"',
                                     .escape = '"',
                                     .newline = line ? '\n' : '\r',
                                     .null_text = given->null_text ? given->null_text : ""};
    struct weir_csv_dialect start = found;
    bool any = false;
    if (!line && (!sample->size || !memchr(sample->data, '\r', sample->size)))
        start.newline = '\n';
    start.newline = given->newline ? given->newline : start.newline;
    for (size_t q = 0; q < sizeof quotes; q++)
        for (size_t e = 0; e < sizeof escapes; e++)
            for (size_t d = 0; d < sizeof delimiters; d++) {
                struct weir_csv_dialect tried = start;
                tried.delimiter = given->delimiter ? given->delimiter : delimiters[d];
                tried.quote = given->quote ? given->quote : quotes[q];
                tried.escape = given->escape ? given->escape : escapes[e];
                tried.escape = tried.escape ? tried.escape : tried.quote;
                struct verdict verdict = judge(sample, &tried);
                if (any && !better(&verdict, &best))
                    continue;
                best = verdict;
                found = tried;
                found.column_count = verdict.columns ? verdict.columns : 1;
                any = true;
            }
    *dialect = found;
}

/* ---- types ---- */

/* From narrow to wide; each is tried until one holds all values. */
static const enum weir_type_id candidates[] = {
    WEIR_BOOLEAN, WEIR_LONG, WEIR_DOUBLE, WEIR_DATE, WEIR_TIMESTAMP, WEIR_TIMESTAMPTZ, WEIR_STRING};
#define CANDIDATES (sizeof candidates / sizeof *candidates)

/* Stricter than reading with a declared type: 007 and 1 are texts and numbers, not booleans. */
static bool holds(enum weir_type_id id, const char *text, size_t size)
{
    const struct weir_type type = {.id = id};
    union {
        int64_t number;
        double real;
        uint8_t bytes[16];
    } out;
    if (id == WEIR_STRING)
        return true;
    size_t sign = size && (*text == '-' || *text == '+');
    if (id == WEIR_BOOLEAN && size < 4)
        return false;
    if ((id == WEIR_LONG || id == WEIR_DOUBLE) && size > sign + 1 && text[sign] == '0' &&
        text[sign + 1] >= '0' && text[sign + 1] <= '9')
        return false;
    if (id == WEIR_DOUBLE && size > sign && text[sign] != '.' &&
        (text[sign] < '0' || text[sign] > '9'))
        return false; /* nan and inf are words too */
    return csv_value(&type, text, size, &out) == WEIR_REASON_COUNT;
}

struct guess {
    uint32_t candidate;
    bool any; /* a value was seen */
};

static weir_status take_value(struct sample *sample, const struct weir_csv_dialect *dialect,
                              const struct csv_field *field, struct guess *guess,
                              struct weir_error *reterr)
{
    size_t size = field->size;
    const char *text = (const char *)field->data;
    if (csv_is_null(dialect, strlen(dialect->null_text), field))
        return WEIR_OK;
    if (field->escaped) {
        uint8_t *copy;
        WEIR_TRY(weir_arena_alloc(sample->arena, size + 1, &copy, reterr));
        size = csv_unescape(dialect, field, copy);
        text = (const char *)copy;
    }
    guess->any = true;
    while (!holds(candidates[guess->candidate], text, size))
        guess->candidate++;
    return WEIR_OK;
}

/* A type that was passed over must have held the values before: number, then time, is text. */
static weir_status guess_types(struct sample *sample, const struct weir_csv_dialect *dialect,
                               uint32_t first, struct csv_field *fields, struct guess *guesses,
                               struct weir_error *reterr)
{
    uint32_t count, position;
    memset(guesses, 0, dialect->column_count * sizeof *guesses);
    for (int pass = 0; pass < 2; pass++) /* the second sees whether all values still hold */
        for (uint32_t r = first; r < sample->count; r++) {
            if (csv_fields(dialect, sample->records[r], fields, dialect->column_count, &count,
                           &position) != CSV_FIELDS_OK ||
                count != dialect->column_count)
                continue;
            for (uint32_t c = 0; c < count; c++)
                WEIR_TRY(take_value(sample, dialect, &fields[c], &guesses[c], reterr));
        }
    for (uint32_t c = 0; c < dialect->column_count; c++)
        if (!guesses[c].any)
            guesses[c].candidate = CANDIDATES - 1;
    return WEIR_OK;
}

/* ---- the header ---- */

static bool like_a_name(const struct csv_field *field)
{
    if (field->size == 0 || field->size > WEIR_NAME_SIZE_MAX)
        return false;
    uint8_t first = field->data[0];
    bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') ||
                  first == '_' || first >= 0x80;
    return letter && weir_utf8_invalid(field->data, field->size) == field->size;
}

static bool repeats(const struct sample *sample, const struct weir_csv_dialect *dialect,
                    const struct csv_field *names, struct csv_field *fields)
{
    uint32_t count, position;
    for (uint32_t r = 1; r < sample->count; r++) {
        if (csv_fields(dialect, sample->records[r], fields, dialect->column_count, &count,
                       &position) != CSV_FIELDS_OK)
            continue;
        for (uint32_t c = 0; c < count && c < dialect->column_count; c++)
            if (fields[c].size == names[c].size &&
                memcmp(fields[c].data, names[c].data, names[c].size) == 0)
                return true;
    }
    return false;
}

/* guesses: without the first record. */
static bool is_header(const struct sample *sample, const struct weir_csv_dialect *dialect,
                      const struct guess *guesses, const struct csv_field *names, uint32_t count,
                      struct csv_field *fields)
{
    bool differs = false;
    if (count != dialect->column_count)
        return false;
    for (uint32_t c = 0; c < count; c++) {
        enum weir_type_id id = candidates[guesses[c].candidate];
        if (!like_a_name(&names[c]))
            return false;
        if (id != WEIR_STRING && guesses[c].any) {
            if (holds(id, (const char *)names[c].data, names[c].size))
                return false;
            differs = true;
        }
    }
    return differs || sample->count == 1 || !repeats(sample, dialect, names, fields);
}

/* ---- names ---- */

static bool name_taken(const struct weir_field *children, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(children[i].name, name) == 0)
            return true;
    return false;
}

static weir_status name_column(struct sample *sample, const struct weir_csv_dialect *dialect,
                               const struct csv_field *field, struct weir_field *children,
                               uint32_t column, struct weir_error *reterr)
{
    char *name = NULL;
    if (field && field->size && field->size <= WEIR_NAME_SIZE_MAX &&
        !memchr(field->data, 0, field->size) &&
        weir_utf8_invalid(field->data, field->size) == field->size) {
        WEIR_TRY(weir_arena_copy(sample->arena, field->data, field->size, &name, reterr));
        if (field->escaped)
            name[csv_unescape(dialect, field, (uint8_t *)name)] = 0;
    }
    if (!name)
        WEIR_TRY(weir_arena_print(sample->arena, &name, reterr, "column%u", column));
    const char *base = name;
    for (unsigned i = 1; name_taken(children, column, name); i++)
        WEIR_TRY(weir_arena_print(sample->arena, &name, reterr, "%s_%u", base, i));
    children[column].name = name;
    return WEIR_OK;
}

static weir_status make_schema(struct sample *sample, struct weir_csv_dialect *dialect,
                               struct weir_type *ret_schema, struct weir_error *reterr)
{
    uint32_t columns = dialect->column_count, count = 0, position;
    struct csv_field *names, *fields;
    struct weir_field *children;
    struct guess *guesses;
    size_t room = (size_t)columns + 1;
    WEIR_TRY(weir_arena_zero(sample->arena, room, sizeof *names, &names, reterr));
    WEIR_TRY(weir_arena_zero(sample->arena, room, sizeof *fields, &fields, reterr));
    WEIR_TRY(weir_arena_zero(sample->arena, room, sizeof *guesses, &guesses, reterr));
    WEIR_TRY(weir_arena_zero(sample->arena, room, sizeof *children, &children, reterr));
    WEIR_TRY(guess_types(sample, dialect, 1, fields, guesses, reterr));
    if (csv_fields(dialect, sample->records[0], names, columns, &count, &position) != CSV_FIELDS_OK)
        count = 0;
    if (dialect->header < 0)
        dialect->header = is_header(sample, dialect, guesses, names, count, fields);
    if (!dialect->header)
        WEIR_TRY(guess_types(sample, dialect, 0, fields, guesses, reterr));
    for (uint32_t c = 0; c < columns; c++) {
        bool named = dialect->header && c < count;
        WEIR_TRY(name_column(sample, dialect, named ? &names[c] : NULL, children, c, reterr));
        children[c].id = (int32_t)c + 1;
        children[c].type.id = candidates[guesses[c].candidate];
    }
    *ret_schema = (struct weir_type){
        .id = WEIR_STRUCT, .child_count = columns, .children = children};
    return WEIR_OK;
}

weir_status weir_csv_sniff(struct weir_arena *arena, const uint8_t *data, size_t size, bool whole,
                           const struct weir_csv_dialect *given,
                           struct weir_csv_dialect *ret_dialect, struct weir_type *ret_schema,
                           struct weir_error *reterr)
{
    static const struct weir_csv_dialect nothing = {.header = -1};
    struct sample sample = {.arena = arena, .whole = whole};
    struct weir_csv_dialect dialect;
    size_t mark = weir_csv_mark_size(data, size);
    given = given ? given : &nothing;
    sample.data = data + mark;
    sample.size = size - mark;
    if (sample.size > WEIR_CSV_SAMPLE_SIZE) {
        sample.size = WEIR_CSV_SAMPLE_SIZE;
        sample.whole = false;
    }
    WEIR_TRY(
        weir_arena_alloc(arena, RECORDS_MAX * sizeof *sample.records, &sample.records, reterr));
    find_dialect(&sample, given, &dialect);
    dialect.header = given->header;
    if (dialect.column_count > WEIR_SCHEMA_FIELDS_MAX)
        return weir_fail(reterr, WEIR_USAGE, "CSV: %u columns; at most %u", dialect.column_count,
                         WEIR_SCHEMA_FIELDS_MAX);
    cut(&sample, &dialect);
    if (sample.count == 0)
        return weir_fail(reterr, WEIR_USAGE, "CSV: no record in it, so no columns are known");
    WEIR_TRY(make_schema(&sample, &dialect, ret_schema, reterr));
    *ret_dialect = dialect;
    return WEIR_OK;
}
