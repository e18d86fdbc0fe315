/* Runs of records -> batches -> files. One slot per worker decodes a run into its own arena; the
 * caller's thread then adds the slots' batches to the open files in order, and copies refused rows,
 * raw, to the letters file. */
#include "scheduler/window/ingest.h"

#include "engine/expr/expr.h"
#include "formats/json/json.h"
#include "scheduler/window/decode.h"
#include "scheduler/window/output.h"
#include "scheduler/window/owners.h"
#include "scheduler/window/partition.h"
#include "scheduler/window/schemas.h"

#include <stdio.h>
#include <string.h>

#define SLOTS_PER_THREAD 2
#define LETTER_ROWS      512
#define LETTER_BYTES     (64u << 20) /* of what is kept of records, in one batch */

struct refused {
    uint32_t record;
    const char *reason, *message;
    uint32_t position;
    struct weir_bytes raw; /* what is kept of it; set when its letter is written */
};

struct slot {
    struct weir_arena arena;
    struct decoder *decoder;
    struct owners *owners; /* NULL: every record is this lake's */
    const struct weir_run *run;
    struct decode_input input;   /* its records with a value */
    struct weir_decoded decoded; /* of all owners */
    int32_t *owner;              /* of each record of the run; NULL without owners */
    struct weir_batch batch;     /* with the meta column */
    struct partition_group *groups;
    size_t group_count;
    struct refused *refused;
    size_t refused_count;
    int64_t filtered, tombstones, foreign, warnings;
    struct weir_row_hash hash;
    bool gate; /* an expectation with on_fail: fail met its row */
    char gate_text[512];
};

struct partition {
    char *folder;
    struct output *output;
};

struct weir_ingest {
    struct weir_ingest_options options;
    struct weir_arena arena; /* as long as the ingest */
    struct schemas *schemas; /* of records that name theirs; NULL */
    struct slot *slots;
    size_t slot_count;
    const struct weir_expr *where;
    struct weir_expr **expectations;
    struct partition *partitions;
    size_t partition_count;
    char stem[32], letter_stem[32];
    atomic_int number, letter_number;
    struct weir_parquet_options parquet;
    struct weir_schema letter_schema;
    struct output *letters;
    struct weir_arena letter_arena; /* of the letters that are being written */
    struct weir_ingest_result result;
    const struct weir_run *runs; /* of the round under way */
    bool found;                  /* evolve: there are fields to make columns of */
};

static weir_status compile(struct weir_ingest *ingest, struct weir_error *reterr)
{
    const struct weir_table_config *table = ingest->options.table;
    struct weir_expr *where;
    if (table->where) {
        weir_status status = weir_expr_compile(&ingest->arena, &ingest->options.shape->decode,
                                               table->where, &where, reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%s: where",
                              table->where_location ? table->where_location : table->name);
            return status;
        }
        ingest->where = where;
    }
    WEIR_TRY(weir_arena_zero(&ingest->arena, table->expectation_count + 1,
                             sizeof *ingest->expectations, &ingest->expectations, reterr));
    for (size_t i = 0; i < table->expectation_count; i++) {
        weir_status status = weir_expr_compile(&ingest->arena, &ingest->options.shape->decode,
                                               table->expectations[i].that,
                                               &ingest->expectations[i], reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "%s: expect",
                              table->expectations[i].location ? table->expectations[i].location
                                                              : table->name);
            return status;
        }
    }
    return WEIR_OK;
}

/* May what the leader decodes be used? What it decodes with must be as good as ours. */
static bool can_follow(const struct weir_ingest *ingest)
{
    const struct weir_ingest *leader = ingest->options.leader;
    const struct weir_table_config *table = ingest->options.table;
    return leader && !leader->options.leader && leader->options.table == table &&
           leader->options.tenancy && ingest->options.tenancy && !table->source->registry.url &&
           table->unknown_fields != WEIR_UNKNOWN_EVOLVE &&
           leader->slot_count == ingest->slot_count &&
           weir_type_equal(&leader->options.shape->decode, &ingest->options.shape->decode, true);
}

static weir_status make_decoders(struct weir_ingest *ingest, struct weir_error *reterr)
{
    if (!can_follow(ingest))
        ingest->options.leader = NULL;
    for (size_t i = 0; ingest->options.leader && i < ingest->slot_count; i++)
        ingest->slots[i].decoder = ingest->options.leader->slots[i].decoder;
    if (ingest->options.leader)
        return WEIR_OK;
    struct decode_options options = {.account = &ingest->options.lake->context->memory,
                                     .table = ingest->options.table,
                                     .columns = &ingest->options.shape->decode};
    if (options.table->source->registry.url)
        WEIR_TRY(schemas_new(ingest->options.lake, options.table, options.columns, &ingest->schemas,
                             reterr));
    options.schemas = ingest->schemas;
    for (size_t i = 0; i < ingest->slot_count; i++) {
        WEIR_TRY(decoder_new(&options, &ingest->slots[i].decoder, reterr));
        if (ingest->options.tenancy)
            WEIR_TRY(
                owners_new(&options, ingest->options.tenancy, &ingest->slots[i].owners, reterr));
    }
    return WEIR_OK;
}

static weir_status open_letters(struct weir_ingest *ingest, struct weir_error *reterr)
{
    struct weir_lake *lake = ingest->options.lake;
    char *root;
    WEIR_TRY(weir_quarantine_schema(&ingest->arena, ingest->options.table->source->is_kafka,
                                    &ingest->letter_schema, reterr));
    WEIR_TRY(weir_arena_print(&ingest->arena, &root, reterr, "%s/_weir/letters/%s",
                              lake->store.root_uri, ingest->options.table_uuid));
    /* raw and message of letters may hold personal data: no bounds on raw */
    int32_t *hidden;
    WEIR_TRY(weir_arena_zero(&ingest->arena, 1, sizeof *hidden, &hidden, reterr));
    hidden[0] = ingest->letter_schema.root.children[0].id;
    struct output_options options = {.lake = lake,
                                     .type = &ingest->letter_schema.root,
                                     .root_uri_prefix = root,
                                     .stem = ingest->letter_stem,
                                     .number = &ingest->letter_number,
                                     .parquet = {.codec = WEIR_CODEC_ZSTD,
                                                 .no_bounds_ids = hidden,
                                                 .no_bounds_count = 1,
                                                 .created_by = "weir version 0.1.0"}};
    return output_new(&ingest->arena, &options, &ingest->letters, reterr);
}

static weir_status ingest_init(struct weir_ingest *ingest, struct weir_error *reterr)
{
    ingest->slot_count = (size_t)ingest->options.lake->context->thread_count * SLOTS_PER_THREAD;
    WEIR_TRY(weir_arena_zero(&ingest->arena, ingest->slot_count, sizeof *ingest->slots,
                             &ingest->slots, reterr));
    for (size_t i = 0; i < ingest->slot_count; i++)
        weir_arena_init(&ingest->slots[i].arena, ingest->arena.account);
    WEIR_TRY(weir_arena_zero(&ingest->arena, WEIR_PARTITIONS_OPEN_MAX, sizeof *ingest->partitions,
                             &ingest->partitions, reterr));
    ingest->result.reasons = json_object();
    snprintf(ingest->stem, sizeof ingest->stem, "%019lld", (long long)ingest->options.attempt);
    snprintf(ingest->letter_stem, sizeof ingest->letter_stem, "%019lld",
             (long long)ingest->options.attempt);
    WEIR_TRY(compile(ingest, reterr));
    WEIR_TRY(make_decoders(ingest, reterr));
    WEIR_TRY(partition_parquet_options(&ingest->arena, ingest->options.table, ingest->options.shape,
                                       &ingest->parquet, reterr));
    return open_letters(ingest, reterr);
}

weir_status weir_ingest_new(const struct weir_ingest_options *options,
                            struct weir_ingest **ret_ingest, struct weir_error *reterr)
{
    struct weir_ingest *ingest;
    WEIR_TRY(weir_alloc_zero(&options->lake->context->memory, 1, sizeof *ingest, &ingest, reterr));
    ingest->options = *options;
    weir_arena_init(&ingest->arena, &options->lake->context->memory);
    weir_arena_init(&ingest->letter_arena, &options->lake->context->memory);
    weir_status status = ingest_init(ingest, reterr);
    if (status != WEIR_OK)
        weir_ingest_free(ingest);
    else
        *ret_ingest = ingest;
    return status;
}

void weir_ingest_free(struct weir_ingest *ingest)
{
    if (!ingest)
        return;
    for (size_t i = 0; ingest->slots && i < ingest->slot_count; i++) {
        if (!ingest->options.leader)
            decoder_free(ingest->slots[i].decoder);
        owners_free(ingest->slots[i].owners);
        weir_arena_done(&ingest->slots[i].arena);
    }
    for (size_t i = 0; i < ingest->partition_count; i++)
        output_abandon(ingest->partitions[i].output);
    output_abandon(ingest->letters);
    schemas_free(ingest->schemas);
    json_decref(ingest->result.reasons);
    weir_arena_done(&ingest->letter_arena);
    weir_arena_done(&ingest->arena);
    weir_free(ingest);
}

size_t weir_ingest_width(const struct weir_ingest *ingest)
{
    return ingest->slot_count;
}

/* ---- one run, on any worker ---- */

static void set_valid(struct weir_vector *vector, uint32_t row, bool valid)
{
    if (valid)
        weir_bit_set(vector->validity, row);
    else
        vector->null_count++;
}

static void put_bytes(struct weir_vector *vector, uint32_t row, struct weir_bytes bytes)
{
    int32_t at = vector->offsets[row];
    if (bytes.size)
        memcpy((uint8_t *)vector->values + at, bytes.data, bytes.size);
    vector->offsets[row + 1] = at + (int32_t)bytes.size;
}

static weir_status nullable(struct weir_arena *arena, struct weir_vector *vector, uint32_t count,
                            struct weir_error *reterr)
{
    return weir_arena_zero(arena, (count + 511) / 512 * 64 + 64, 1, &vector->validity, reterr);
}

static void drop_full_validity(struct weir_vector *vector)
{
    if (vector->null_count == 0)
        vector->validity = NULL;
}

/* _kafka of records[record[row]], row < count. */
static weir_status kafka_column(struct weir_arena *arena, const struct weir_type *type,
                                const struct weir_run *run, const uint32_t *record, uint32_t count,
                                struct weir_vector *ret, struct weir_error *reterr)
{
    size_t topic_size = strlen(run->origin.topic), key_bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        key_bytes += run->records[record[i]].key.size;
    if (key_bytes > INT32_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%zu bytes of keys in one run", key_bytes);
    *ret = (struct weir_vector){.type = type, .count = count};
    WEIR_TRY(
        weir_arena_zero(arena, type->child_count, sizeof *ret->children, &ret->children, reterr));
    struct weir_vector *c = ret->children;
    WEIR_TRY(
        weir_vector_make(arena, &type->children[0].type, count, topic_size * count, &c[0], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[1].type, count, 0, &c[1], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[2].type, count, 0, &c[2], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[3].type, count, 0, &c[3], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[4].type, count, key_bytes, &c[4], reterr));
    WEIR_TRY(nullable(arena, &c[3], count, reterr));
    WEIR_TRY(nullable(arena, &c[4], count, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_log_record *from = &run->records[record[i]];
        put_bytes(&c[0], i, (struct weir_bytes){(const uint8_t *)run->origin.topic, topic_size});
        ((int32_t *)c[1].values)[i] = run->origin.partition;
        ((int64_t *)c[2].values)[i] = from->offset;
        ((int64_t *)c[3].values)[i] = from->timestamp_ms < 0 ? 0 : from->timestamp_ms * 1000;
        set_valid(&c[3], i, from->timestamp_ms >= 0);
        put_bytes(&c[4], i, from->key);
        set_valid(&c[4], i, from->key.data != NULL);
    }
    for (uint32_t i = 0; i < 5; i++)
        c[i].count = count;
    drop_full_validity(&c[3]);
    drop_full_validity(&c[4]);
    if (type->child_count > 5)
        return headers_column(arena, &type->children[5].type, run, record, count, &c[5], reterr);
    return WEIR_OK;
}

static weir_status file_column(struct weir_arena *arena, const struct weir_type *type,
                               const struct weir_run *run, const uint32_t *record, uint32_t count,
                               struct weir_vector *ret, struct weir_error *reterr)
{
    size_t path_size = strlen(run->origin.path);
    *ret = (struct weir_vector){.type = type, .count = count};
    WEIR_TRY(weir_arena_zero(arena, 2, sizeof *ret->children, &ret->children, reterr));
    struct weir_vector *c = ret->children;
    WEIR_TRY(
        weir_vector_make(arena, &type->children[0].type, count, path_size * count, &c[0], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[1].type, count, 0, &c[1], reterr));
    for (uint32_t i = 0; i < count; i++) {
        put_bytes(&c[0], i, (struct weir_bytes){(const uint8_t *)run->origin.path, path_size});
        ((int64_t *)c[1].values)[i] = run->origin.rows ? run->origin.rows[record[i]]
                                                       : run->origin.first_row + record[i];
    }
    c[0].count = c[1].count = count;
    return WEIR_OK;
}

static weir_status meta_column(struct weir_arena *arena, const struct weir_type *type,
                               const struct weir_run *run, const uint32_t *record, uint32_t count,
                               struct weir_vector *ret, struct weir_error *reterr)
{
    return run->origin.topic ? kafka_column(arena, type, run, record, count, ret, reterr)
                             : file_column(arena, type, run, record, count, ret, reterr);
}

struct judging {      /* rows of the decoded batch that are still in */
    uint8_t *out;     /* 1 = filtered or refused */
    uint32_t *source; /* batch row -> record of the run */
};

static void refuse(struct slot *slot, uint32_t record, const char *reason, const char *message,
                   uint32_t position)
{
    slot->refused[slot->refused_count++] = (struct refused){record, reason, message, position, {0}};
}

static weir_status judge_where(struct weir_ingest *ingest, struct slot *slot,
                               const struct weir_batch *batch, struct judging *judging,
                               struct weir_error *reterr)
{
    if (!ingest->where)
        return WEIR_OK;
    struct weir_vector keep;
    uint8_t *failed;
    WEIR_TRY(weir_expr_evaluate(ingest->where, batch, &slot->arena, &keep, &failed, reterr));
    for (uint32_t i = 0; i < batch->count; i++) {
        if (failed && weir_bit_get(failed, i)) {
            judging->out[i] = 1;
            refuse(slot, judging->source[i], "expect",
                   "where could not be evaluated: overflow or division by zero", UINT32_MAX);
        } else if (!weir_vector_valid(&keep, i) || !weir_bit_get(keep.values, i)) {
            judging->out[i] = 1;
            slot->filtered++;
        }
    }
    return WEIR_OK;
}

static weir_status judge_expectation(struct slot *slot, const struct weir_expectation *expectation,
                                     const struct weir_expr *expr, const struct weir_batch *batch,
                                     struct judging *judging, struct weir_error *reterr)
{
    struct weir_vector holds;
    uint8_t *failed;
    char *message = NULL;
    WEIR_TRY(weir_expr_evaluate(expr, batch, &slot->arena, &holds, &failed, reterr));
    for (uint32_t i = 0; i < batch->count; i++) {
        bool error = failed && weir_bit_get(failed, i);
        if (judging->out[i] ||
            (!error && (!weir_vector_valid(&holds, i) || weir_bit_get(holds.values, i))))
            continue; /* unknown passes, as CHECK constraints do */
        if (expectation->on_fail == WEIR_ON_FAIL_WARN) {
            slot->warnings++;
            continue;
        }
        if (!message)
            WEIR_TRY(weir_arena_print(&slot->arena, &message, reterr, "expectation %s did not hold",
                                      expectation->name ? expectation->name : expectation->that));
        judging->out[i] = 1;
        refuse(slot, judging->source[i], "expect", message, UINT32_MAX);
        if (expectation->on_fail == WEIR_ON_FAIL_FAIL && !slot->gate) {
            slot->gate = true;
            snprintf(slot->gate_text, sizeof slot->gate_text,
                     "expectation %s (on_fail: fail) did not hold",
                     expectation->name ? expectation->name : expectation->that);
        }
    }
    return WEIR_OK;
}

/* The batch of good rows with the meta column behind the declared ones. */
static weir_status complete_batch(struct weir_ingest *ingest, struct slot *slot,
                                  const struct weir_batch *decoded, const struct judging *judging,
                                  struct weir_error *reterr)
{
    const struct weir_type *write = &ingest->options.shape->write;
    uint32_t *rows, kept = 0;
    WEIR_TRY(weir_arena_alloc(&slot->arena, (decoded->count + 1) * sizeof *rows, &rows, reterr));
    for (uint32_t i = 0; i < decoded->count; i++)
        if (!judging->out[i])
            rows[kept++] = i;
    struct weir_batch good = *decoded;
    struct weir_selection selection = {kept, rows};
    if (kept < decoded->count)
        WEIR_TRY(weir_batch_gather(&slot->arena, decoded, &selection, &good, reterr));
    for (uint32_t i = 0; i < kept; i++)
        rows[i] = judging->source[rows[i]];
    struct weir_vector *columns;
    WEIR_TRY(
        weir_arena_zero(&slot->arena, write->child_count + 1, sizeof *columns, &columns, reterr));
    memcpy(columns, good.columns, decoded->type->child_count * sizeof *columns);
    if (ingest->options.shape->meta_id)
        WEIR_TRY(meta_column(&slot->arena, &write->children[write->child_count - 1].type, slot->run,
                             rows, kept, &columns[write->child_count - 1], reterr));
    slot->batch = (struct weir_batch){write, kept, columns};
    return WEIR_OK;
}

/* unknown_fields: evolve. Records that are still in and have fields without a column: they make
 * columns, or, when that was done, are refused. */
static weir_status judge_unknown(struct weir_ingest *ingest, struct slot *slot,
                                 const struct weir_decoded *own, struct judging *judging,
                                 struct weir_error *reterr)
{
    const struct decoder_operations *operations = slot->decoder->operations;
    const struct decode_input *input = &slot->input;
    const struct decode_mark *marks;
    struct weir_bytes *raw;
    uint32_t *record, row = 0, found = 0;
    size_t count;
    if (!operations->marks)
        return WEIR_OK;
    WEIR_TRY(operations->marks(slot->decoder, input, &slot->decoded, &slot->arena, &marks, &count,
                               reterr));
    WEIR_TRY(weir_arena_alloc(&slot->arena, (count + 1) * sizeof *raw, &raw, reterr));
    WEIR_TRY(weir_arena_alloc(&slot->arena, (count + 1) * sizeof *record, &record, reterr));
    for (size_t i = 0; i < count; i++) {
        while (row < own->batch.count && own->source[row] < marks[i].input)
            row++;
        if (row == own->batch.count)
            break;
        if (own->source[row] != marks[i].input || judging->out[row])
            continue; /* another's, or out already */
        if (!ingest->options.grown) {
            raw[found] = input->raw[marks[i].input];
            record[found++] = input->record[marks[i].input];
            continue;
        }
        char *message;
        WEIR_TRY(weir_arena_print(&slot->arena, &message, reterr,
                                  "field \"%s\" has no column, and none can be made for it",
                                  marks[i].name));
        judging->out[row] = 1;
        refuse(slot, judging->source[row], "unknown_field", message, marks[i].position);
    }
    if (found == 0)
        return WEIR_OK;
    struct decode_input fresh = {input->run, raw, record, found};
    slot->decoder->found = true;
    return operations->find(slot->decoder, &fresh, &slot->arena, reterr);
}

static int by_record(const void *a, const void *b)
{
    uint32_t x = ((const struct refused *)a)->record, y = ((const struct refused *)b)->record;
    return (x > y) - (x < y);
}

static weir_status decode_slot(struct weir_ingest *ingest, struct slot *slot,
                               struct weir_error *reterr)
{
    const struct weir_run *run = slot->run;
    struct weir_bytes *raw;
    uint32_t *record, count = 0;
    WEIR_TRY(weir_arena_alloc(&slot->arena, (run->count + 1) * sizeof *raw, &raw, reterr));
    WEIR_TRY(weir_arena_alloc(&slot->arena, (run->count + 1) * sizeof *record, &record, reterr));
    for (uint32_t i = 0; i < run->count; i++)
        if (run->records[i].value.data) {
            raw[count] = run->records[i].value;
            record[count++] = i;
        }
    slot->input = (struct decode_input){run, raw, record, count};
    WEIR_TRY(slot->decoder->operations->decode(slot->decoder, &slot->input, &slot->arena,
                                               &slot->decoded, reterr));
    if (!slot->owners)
        return WEIR_OK;
    return owners_find(slot->owners, slot->decoder, &slot->input, &slot->decoded, &slot->arena,
                       &slot->owner, reterr);
}

/* What is said of a record that stays out, for it is not this lake's. */
static void judge_foreign(const struct weir_ingest *ingest, struct slot *slot, uint32_t record)
{
    const struct weir_tenancy *tenancy = ingest->options.tenancy;
    if (!ingest->options.again)
        slot->foreign++;
    else if (tenancy->self < 0)
        refuse(slot, record, "tenant",
               "its owner has a lake now, and reads the record there itself", UINT32_MAX);
    else
        refuse(slot, record, "tenant", "the record is of another owner", UINT32_MAX);
}

static bool is_mine(const struct weir_ingest *ingest, const struct slot *slot, uint32_t record)
{
    return !ingest->options.tenancy || owners_is_mine(ingest->options.tenancy, slot->owner[record]);
}

/* Records that are no rows: without a value, or refused by the decoder. */
static void judge_records(const struct weir_ingest *ingest, struct slot *slot)
{
    const struct weir_run *run = slot->run;
    for (uint32_t i = 0; i < run->count; i++) {
        if (run->records[i].value.data)
            continue;
        if (!is_mine(ingest, slot, i))
            judge_foreign(ingest, slot, i);
        else if (ingest->options.table->tombstones_skip)
            slot->tombstones++;
        else
            refuse(slot, i, "null",
                   "the record has no value (tombstones: skip leaves such records out)",
                   UINT32_MAX);
    }
    for (uint32_t i = 0; i < slot->decoded.refusal_count; i++) {
        const struct weir_refusal *refusal = &slot->decoded.refusals[i];
        uint32_t record = slot->input.record[refusal->record];
        if (is_mine(ingest, slot, record))
            refuse(slot, record, weir_reason_name(refusal->reason), refusal->message,
                   refusal->position);
        else
            judge_foreign(ingest, slot, record);
    }
}

/* The rows that are this lake's. Those of an owner whom nobody knows are the operator's to keep,
 * refused: they are in no table. */
static weir_status take_own(const struct weir_ingest *ingest, struct slot *slot,
                            struct weir_decoded *ret_own, struct weir_error *reterr)
{
    const struct weir_tenancy *tenancy = ingest->options.tenancy;
    const struct weir_decoded *all = &slot->decoded;
    uint32_t *rows, *source, count = 0;
    *ret_own = *all;
    if (!tenancy)
        return WEIR_OK;
    WEIR_TRY(weir_arena_alloc(&slot->arena, (all->batch.count + 1) * sizeof *rows, &rows, reterr));
    WEIR_TRY(
        weir_arena_alloc(&slot->arena, (all->batch.count + 1) * sizeof *source, &source, reterr));
    for (uint32_t i = 0; i < all->batch.count; i++) {
        uint32_t record = slot->input.record[all->source[i]];
        if (!is_mine(ingest, slot, record)) {
            judge_foreign(ingest, slot, record);
        } else if (tenancy->self < 0) {
            refuse(slot, record, "tenant", "its owner is none of the tenants", UINT32_MAX);
        } else {
            source[count] = all->source[i];
            rows[count++] = i;
        }
    }
    if (count == all->batch.count)
        return WEIR_OK;
    struct weir_selection selection = {count, rows};
    ret_own->source = source;
    return weir_batch_gather(&slot->arena, &all->batch, &selection, &ret_own->batch, reterr);
}

static weir_status work_slot(void *argument, size_t index, struct weir_error *reterr)
{
    struct weir_ingest *ingest = argument;
    struct slot *slot = &ingest->slots[index];
    const struct weir_run *run = slot->run = &ingest->runs[index];
    weir_arena_reset(&slot->arena);
    slot->refused_count = 0;
    slot->filtered = slot->tombstones = slot->foreign = slot->warnings = 0;
    slot->gate = false;
    slot->hash = (struct weir_row_hash){0};
    WEIR_TRY(weir_arena_alloc(&slot->arena, (run->count * 2 + 1) * sizeof *slot->refused,
                              &slot->refused, reterr));
    if (ingest->options.leader) {
        const struct slot *from = &ingest->options.leader->slots[index];
        slot->input = from->input;
        slot->decoded = from->decoded;
        slot->owner = from->owner;
    } else {
        WEIR_TRY(decode_slot(ingest, slot, reterr));
    }
    judge_records(ingest, slot);
    struct weir_decoded own;
    struct judging judging;
    WEIR_TRY(take_own(ingest, slot, &own, reterr));
    WEIR_TRY(weir_arena_zero(&slot->arena, own.batch.count + 1, 1, &judging.out, reterr));
    WEIR_TRY(weir_arena_alloc(&slot->arena, (own.batch.count + 1) * sizeof *judging.source,
                              &judging.source, reterr));
    for (uint32_t i = 0; i < own.batch.count; i++)
        judging.source[i] = slot->input.record[own.source[i]];
    WEIR_TRY(judge_where(ingest, slot, &own.batch, &judging, reterr));
    for (size_t e = 0; e < ingest->options.table->expectation_count; e++)
        WEIR_TRY(judge_expectation(slot, &ingest->options.table->expectations[e],
                                   ingest->expectations[e], &own.batch, &judging, reterr));
    WEIR_TRY(judge_unknown(ingest, slot, &own, &judging, reterr));
    qsort(slot->refused, slot->refused_count, sizeof *slot->refused, by_record);
    WEIR_TRY(complete_batch(ingest, slot, &own.batch, &judging, reterr));
    WEIR_TRY(weir_row_hash_add(&slot->hash, &slot->batch, NULL, &slot->arena, reterr));
    return partition_rows(&slot->arena, ingest->options.shape, &slot->batch, &slot->groups,
                          &slot->group_count, reterr);
}

/* ---- in order, on the caller's thread ---- */

static weir_status find_partition(struct weir_ingest *ingest, const struct partition_group *group,
                                  struct partition **ret, struct weir_error *reterr)
{
    for (size_t i = 0; i < ingest->partition_count; i++)
        if (strcmp(ingest->partitions[i].folder, group->folder) == 0) {
            *ret = &ingest->partitions[i];
            return WEIR_OK;
        }
    if (ingest->partition_count == WEIR_PARTITIONS_OPEN_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "more than %d partition values in one window; make run.window smaller or "
                         "partition_by coarser",
                         WEIR_PARTITIONS_OPEN_MAX);
    const struct weir_partition_spec *spec = ingest->options.shape->spec;
    struct partition *partition = &ingest->partitions[ingest->partition_count];
    struct weir_bytes *values;
    char *root, *copy;
    WEIR_TRY(weir_arena_copy(&ingest->arena, group->folder, strlen(group->folder),
                             &partition->folder, reterr));
    WEIR_TRY(
        weir_arena_zero(&ingest->arena, spec->field_count + 1, sizeof *values, &values, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        if (!group->values[i].data)
            continue;
        WEIR_TRY(weir_arena_copy(&ingest->arena, group->values[i].data, group->values[i].size,
                                 &copy, reterr));
        values[i] = (struct weir_bytes){(const uint8_t *)copy, group->values[i].size};
    }
    WEIR_TRY(weir_arena_print(&ingest->arena, &root, reterr, "%s/data%s%s",
                              ingest->options.table_location, *group->folder ? "/" : "",
                              group->folder));
    struct output_options options = {.lake = ingest->options.lake,
                                     .type = &ingest->options.shape->write,
                                     .parquet = ingest->parquet,
                                     .file_size = ingest->options.table->file_size,
                                     .root_uri_prefix = root,
                                     .spec_id = spec->id,
                                     .partition = values,
                                     .stem = ingest->stem,
                                     .number = &ingest->number};
    WEIR_TRY(output_new(&ingest->arena, &options, &partition->output, reterr));
    ingest->partition_count++;
    *ret = partition;
    return WEIR_OK;
}

static weir_status letters_batch(struct weir_ingest *ingest, struct slot *slot, size_t first,
                                 uint32_t count, struct weir_error *reterr)
{
    const struct weir_type *type = &ingest->letter_schema.root;
    struct weir_arena *arena = &ingest->letter_arena;
    struct weir_batch batch = {type, count, NULL};
    size_t raw_bytes = 0, text_bytes = 0;
    uint32_t *record;
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *record, &record, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct refused *refused = &slot->refused[first + i];
        record[i] = refused->record;
        raw_bytes += refused->raw.size;
        text_bytes += strlen(refused->reason) + strlen(refused->message);
    }
    WEIR_TRY(
        weir_arena_zero(arena, type->child_count, sizeof *batch.columns, &batch.columns, reterr));
    struct weir_vector *c = batch.columns;
    WEIR_TRY(weir_vector_make(arena, &type->children[0].type, count, raw_bytes, &c[0], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[1].type, count, text_bytes, &c[1], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[2].type, count, text_bytes, &c[2], reterr));
    WEIR_TRY(weir_vector_make(arena, &type->children[3].type, count, 0, &c[3], reterr));
    WEIR_TRY(nullable(arena, &c[0], count, reterr));
    WEIR_TRY(nullable(arena, &c[3], count, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct refused *refused = &slot->refused[first + i];
        put_bytes(&c[0], i, refused->raw);
        set_valid(&c[0], i, refused->raw.data != NULL);
        put_bytes(&c[1], i,
                  (struct weir_bytes){(const uint8_t *)refused->reason, strlen(refused->reason)});
        put_bytes(&c[2], i,
                  (struct weir_bytes){(const uint8_t *)refused->message, strlen(refused->message)});
        ((int64_t *)c[3].values)[i] = refused->position == UINT32_MAX ? 0 : refused->position;
        set_valid(&c[3], i, refused->position != UINT32_MAX);
    }
    for (uint32_t i = 0; i < 4; i++)
        c[i].count = count;
    drop_full_validity(&c[0]);
    drop_full_validity(&c[3]);
    WEIR_TRY(meta_column(arena, &type->children[4].type, slot->run, record, count, &c[4], reterr));
    return output_add(ingest->letters, &batch, NULL, reterr);
}

/* What a letter holds of the refused record. */
static weir_status keep_raw(struct weir_ingest *ingest, struct slot *slot, struct refused *refused,
                            struct weir_error *reterr)
{
    const struct decoder_operations *operations = slot->decoder->operations;
    refused->raw = slot->run->records[refused->record].value;
    if (!operations->letter || !refused->raw.data)
        return WEIR_OK;
    return operations->letter(slot->decoder, slot->run, refused->record, &ingest->letter_arena,
                              &refused->raw, reterr);
}

static weir_status write_letters(struct weir_ingest *ingest, struct slot *slot,
                                 struct weir_error *reterr)
{
    json_t *reasons = ingest->result.reasons;
    for (size_t i = 0; i < slot->refused_count; i++) {
        const char *reason = slot->refused[i].reason;
        json_object_set_new(reasons, reason,
                            json_integer(json_integer_value(json_object_get(reasons, reason)) + 1));
    }
    if (ingest->options.again || ingest->found)
        return WEIR_OK;
    for (size_t first = 0, end; first < slot->refused_count; first = end) {
        size_t bytes = 0;
        weir_arena_reset(&ingest->letter_arena);
        for (end = first;
             end < slot->refused_count && end - first < LETTER_ROWS && bytes < LETTER_BYTES;
             end++) {
            WEIR_TRY(keep_raw(ingest, slot, &slot->refused[end], reterr));
            bytes += slot->refused[end].raw.size;
        }
        WEIR_TRY(letters_batch(ingest, slot, first, (uint32_t)(end - first), reterr));
    }
    return WEIR_OK;
}

struct weir_refused weir_ingest_why(const struct weir_ingest *ingest)
{
    const struct refused *refused = ingest->slots[0].refused;
    return (struct weir_refused){refused->reason, refused->message,
                                 refused->position == UINT32_MAX ? -1 : refused->position};
}

weir_status weir_ingest_letter(struct weir_ingest *ingest, const struct weir_run *run,
                               const struct weir_refused *refused, struct weir_error *reterr)
{
    struct slot *slot = &ingest->slots[0];
    uint32_t position = refused->position < 0 || refused->position >= UINT32_MAX
                            ? UINT32_MAX
                            : (uint32_t)refused->position;
    weir_arena_reset(&slot->arena);
    weir_arena_reset(&ingest->letter_arena);
    slot->run = run;
    slot->refused_count = 0;
    WEIR_TRY(weir_arena_alloc(&slot->arena, sizeof *slot->refused, &slot->refused, reterr));
    refuse(slot, 0, refused->reason, refused->message, position);
    slot->refused[0].raw = run->records[0].value; /* as it was kept before */
    return letters_batch(ingest, slot, 0, 1, reterr);
}

weir_status weir_ingest_letters_end(struct weir_ingest *ingest, struct weir_error *reterr)
{
    return output_finish(ingest->letters, reterr);
}

static weir_status stop_at_bad(struct weir_ingest *ingest, const struct slot *slot,
                               struct weir_error *reterr)
{
    bool fail = ingest->options.table->on_invalid == WEIR_INVALID_FAIL && slot->refused_count;
    if (!slot->gate && !fail)
        return WEIR_OK;
    const struct refused *refused = &slot->refused[0];
    const struct weir_origin *origin = &slot->run->origin;
    long long at = origin->topic ? (long long)slot->run->records[refused->record].offset
                                 : (long long)(origin->rows ? origin->rows[refused->record]
                                                            : origin->first_row + refused->record);
    weir_status status;
    if (origin->topic)
        status = weir_fail(reterr, WEIR_GATE, "%s: %s/%d offset %lld: %s: %s",
                           ingest->options.table->name, origin->topic, origin->partition, at,
                           refused->reason, slot->gate ? slot->gate_text : refused->message);
    else
        status = weir_fail(reterr, WEIR_GATE, "%s: %s record %lld: %s: %s",
                           ingest->options.table->name, origin->path, at, refused->reason,
                           slot->gate ? slot->gate_text : refused->message);
    weir_error_hint(reterr, "the window was not landed; with on_invalid: quarantine (on_fail: "
                            "quarantine) such records are set aside");
    return status;
}

weir_status weir_ingest_runs(struct weir_ingest *ingest, const struct weir_run *runs, size_t count,
                             struct weir_run_counts *ret_counts, struct weir_error *reterr)
{
    for (size_t first = 0; first < count; first += ingest->slot_count) {
        size_t width = count - first < ingest->slot_count ? count - first : ingest->slot_count;
        ingest->runs = runs + first;
        WEIR_TRY(weir_parallel(ingest->options.lake->context, width, work_slot, ingest, reterr));
        for (size_t i = 0; i < width; i++) {
            struct slot *slot = &ingest->slots[i];
            WEIR_TRY(stop_at_bad(ingest, slot, reterr));
            ingest->found |= slot->decoder->found;
            for (size_t g = 0; g < slot->group_count && !ingest->found; g++) {
                struct partition *partition;
                struct weir_selection selection = {slot->groups[g].count, slot->groups[g].rows};
                WEIR_TRY(find_partition(ingest, &slot->groups[g], &partition, reterr));
                WEIR_TRY(output_add(partition->output, &slot->batch,
                                    slot->group_count == 1 ? NULL : &selection, reterr));
            }
            WEIR_TRY(write_letters(ingest, slot, reterr));
            weir_row_hash_merge(&ingest->result.row_hash, &slot->hash);
            struct weir_run_counts counts = {slot->batch.count, (int64_t)slot->refused_count,
                                             slot->filtered + slot->foreign, slot->tombstones,
                                             slot->foreign};
            ret_counts[first + i] = counts;
            ingest->result.counts.landed += counts.landed;
            ingest->result.counts.refused += counts.refused;
            ingest->result.counts.filtered += counts.filtered;
            ingest->result.counts.tombstones += counts.tombstones;
            ingest->result.counts.foreign += counts.foreign;
            ingest->result.warnings += slot->warnings;
        }
    }
    return WEIR_OK;
}

bool weir_ingest_found(const struct weir_ingest *ingest)
{
    return ingest->found;
}

weir_status weir_ingest_fields(struct weir_ingest *ingest, struct weir_arena *arena,
                               struct weir_type *ret_found, struct weir_error *reterr)
{
    struct decoder **finders;
    size_t count = 0;
    WEIR_TRY(weir_arena_zero(&ingest->arena, ingest->slot_count + 1, sizeof(*finders), &finders,
                             reterr));
    for (size_t i = 0; i < ingest->slot_count; i++)
        if (ingest->slots[i].decoder->found)
            finders[count++] = ingest->slots[i].decoder;
    return finders[0]->operations->evolved(finders, count, arena, ret_found, reterr);
}

static int by_folder(const void *a, const void *b)
{
    return strcmp(((const struct partition *)a)->folder, ((const struct partition *)b)->folder);
}

weir_status weir_ingest_finish(struct weir_ingest *ingest, struct weir_ingest_result *ret_result,
                               struct weir_error *reterr)
{
    qsort(ingest->partitions, ingest->partition_count, sizeof *ingest->partitions, by_folder);
    size_t total = 0;
    const struct weir_data_file *files;
    char(*digests)[33];
    for (size_t i = 0; i < ingest->partition_count; i++) {
        WEIR_TRY(output_finish(ingest->partitions[i].output, reterr));
        total += output_files(ingest->partitions[i].output, &files, &digests);
    }
    WEIR_TRY(output_finish(ingest->letters, reterr));
    struct weir_data_file *all;
    char(*all_digests)[33];
    WEIR_TRY(weir_arena_zero(&ingest->arena, total + 1, sizeof *all, &all, reterr));
    WEIR_TRY(weir_arena_zero(&ingest->arena, total + 1, sizeof *all_digests, &all_digests, reterr));
    struct weir_ingest_result *result = &ingest->result;
    result->file_count = 0;
    for (size_t i = 0; i < ingest->partition_count; i++) {
        size_t count = output_files(ingest->partitions[i].output, &files, &digests);
        memcpy(all + result->file_count, files, count * sizeof *all);
        memcpy(all_digests + result->file_count, digests, count * sizeof *all_digests);
        result->file_count += count;
    }
    result->files = all;
    result->file_digests = all_digests;
    result->letter_count = output_files(ingest->letters, &result->letters, &result->letter_digests);
    *ret_result = *result;
    return WEIR_OK;
}
