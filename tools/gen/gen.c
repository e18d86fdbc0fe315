/* weir-gen: records for tests, demo and benches, to standard output or to Kafka, with a manifest of
 * what a correct reader must find. Start reading at record.h. */
#include "tools/gen/output.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <xxhash.h>

static const char help[] =
    "usage: weir-gen --count N [options] [> FILE | --kafka BROKERS --topic T]\n"
    "\n"
    "Makes JSON records; record i depends on the seed and on i alone.\n"
    "  --count N            how many\n"
    "  --seed S             another world (default 1)\n"
    "  --first I            begin at record I (default 0), to go on where an earlier call ended\n"
    "  --shape SHAPE        inventory (default), flat, wide, hostile\n"
    "  --bad PERMILLE       records that a strict reader refuses\n"
    "  --late PERMILLE      records whose time lies 1 h to 3 d back\n"
    "  --duplicates PERMILLE  records that repeat an earlier one byte for byte\n"
    "Output:\n"
    "  (none)               one value a line to standard output\n"
    "  --kafka BROKERS      produce, idempotent, lz4, key = device_id\n"
    "  --topic TOPIC        into this topic, which must exist\n"
    "  --partitions-expected N  refuse a topic of other width\n"
    "  --tombstones PERMILLE    null values\n"
    "  --transactional ID   in transactions under this transactional.id\n"
    "  --transaction-size N records a transaction (default 1000)\n"
    "  --abort-every K      abort each K-th transaction, its records written\n"
    "  -X NAME=VALUE        any librdkafka property (repeatable)\n"
    "  --manifest FILE      CSV, one line a record in order: row, index, origin (the record it "
    "repeats), key, partition,\n"
    "                       offset, timestamp_ms, status (good | bad | tombstone | aborted), "
    "reason, size, digest (XXH3-64)\n"
    "  --values FILE        what went to Kafka, one value a line, in the manifest's order\n";

struct arguments {
    struct gen_options options;
    struct gen_kafka_options kafka;
    uint64_t first, count;
    bool counted;
    const char *manifest, *values;
};

/* -- output
 * ------------------------------------------------------------------------------------------- */

weir_status gen_output_make(struct gen_output *output, uint64_t position,
                            struct gen_record *ret_record, struct weir_error *reterr)
{
    struct gen_record record;
    output->text.size = 0;
    gen_record_make(output->options, output->first + position, &output->text, &record);
    if (output->text.full)
        return weir_fail(reterr, WEIR_INTERNAL, "record %" PRIu64 " is larger than %u bytes",
                         output->first + position, GEN_RECORD_SIZE_MAX);
    if (output->values != NULL) {
        fwrite(record.value, 1, record.size, output->values);
        putc_unlocked('\n', output->values);
        if (ferror(output->values))
            return weir_fail(reterr, WEIR_IO, "writing values: %s", strerror(errno));
    }
    if (output->entries != NULL) {
        struct gen_entry *entry = &output->entries[position];
        *entry = (struct gen_entry){
            .index = output->first + position,
            .origin = record.origin,
            .digest = XXH3_64bits(record.value, record.size),
            .offset = -1,
            .timestamp_ms = -1,
            .reason = record.reason,
            .partition = -1,
            .size = (uint32_t)record.size,
            .tombstone = record.tombstone,
        };
        memcpy(entry->key, record.key, sizeof entry->key);
    }
    *ret_record = record;
    return WEIR_OK;
}

static const char *status_of(const struct gen_entry *entry)
{
    return entry->aborted          ? "aborted"
           : entry->tombstone      ? "tombstone"
           : entry->reason != NULL ? "bad"
                                   : "good";
}

weir_status gen_output_manifest(const struct gen_output *output, const char *path,
                                struct weir_error *reterr)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return weir_fail(reterr, WEIR_IO, "%s: %s", path, strerror(errno));
    fputs("row,index,origin,key,partition,offset,timestamp_ms,status,reason,size,digest\n", file);
    for (uint64_t row = 0; row < output->count; row++) {
        const struct gen_entry *entry = &output->entries[row];
        fprintf(file, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,", row, entry->index, entry->origin,
                entry->key);
        if (entry->offset >= 0) /* else nothing: the row number is the place */
            fprintf(file, "%" PRId32 ",%" PRId64 ",%" PRId64, entry->partition, entry->offset,
                    entry->timestamp_ms);
        else
            fputs(",,", file);
        fprintf(file, ",%s,%s,%" PRIu32 ",%016" PRIx64 "\n", status_of(entry),
                entry->reason != NULL ? entry->reason : "", entry->size, entry->digest);
    }
    int failed = ferror(file);
    if ((fclose(file) != 0) | failed)
        return weir_fail(reterr, WEIR_IO, "%s: %s", path, strerror(errno));
    return WEIR_OK;
}

static weir_status write_lines(struct gen_output *output, struct weir_error *reterr)
{
    output->values = stdout;
    for (uint64_t position = 0; position < output->count; position++) {
        struct gen_record record;
        WEIR_TRY(gen_output_make(output, position, &record, reterr));
    }
    if (fflush(stdout) != 0)
        return weir_fail(reterr, WEIR_IO, "standard output: %s", strerror(errno));
    return WEIR_OK;
}

/* -- arguments
 * ---------------------------------------------------------------------------------------- */

static weir_status parse_number(const char *name, const char *text, uint64_t limit,
                                uint64_t *ret_value, struct weir_error *reterr)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || value > limit)
        return weir_fail(reterr, WEIR_USAGE, "--%s %s: want a number from 0 to %" PRIu64, name,
                         text, limit);
    *ret_value = value;
    return WEIR_OK;
}

static weir_status parse_shape(const char *text, enum gen_shape *ret_shape,
                               struct weir_error *reterr)
{
    static const char *const names[] = {[GEN_INVENTORY] = "inventory",
                                        [GEN_FLAT] = "flat",
                                        [GEN_WIDE] = "wide",
                                        [GEN_HOSTILE] = "hostile"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_shape = (enum gen_shape)i;
            return WEIR_OK;
        }
    }
    return weir_fail(reterr, WEIR_USAGE, "--shape %s: want inventory, flat, wide or hostile", text);
}

enum gen_option {
    OPTION_COUNT = 256,
    OPTION_SEED,
    OPTION_FIRST,
    OPTION_BAD,
    OPTION_LATE,
    OPTION_DUPLICATES,
    OPTION_TOMBSTONES,
    OPTION_TRANSACTION_SIZE,
    OPTION_ABORT_EVERY,
    OPTION_PARTITIONS,
    OPTION_SHAPE,
    OPTION_KAFKA,
    OPTION_TOPIC,
    OPTION_TRANSACTIONAL,
    OPTION_MANIFEST,
    OPTION_VALUES,
};

static const struct option_name {
    const char *name;
    enum gen_option option;
    uint64_t limit; /* of a number; 0: text */
} option_names[] = {
    {"count", OPTION_COUNT, 1ull << 40},
    {"seed", OPTION_SEED, UINT64_MAX},
    {"first", OPTION_FIRST, 1ull << 40},
    {"bad", OPTION_BAD, 1000},
    {"late", OPTION_LATE, 1000},
    {"duplicates", OPTION_DUPLICATES, 1000},
    {"tombstones", OPTION_TOMBSTONES, 1000},
    {"transaction-size", OPTION_TRANSACTION_SIZE, 1000000},
    {"abort-every", OPTION_ABORT_EVERY, 1ull << 40},
    {"partitions-expected", OPTION_PARTITIONS, 100000},
    {"shape", OPTION_SHAPE, 0},
    {"kafka", OPTION_KAFKA, 0},
    {"topic", OPTION_TOPIC, 0},
    {"transactional", OPTION_TRANSACTIONAL, 0},
    {"manifest", OPTION_MANIFEST, 0},
    {"values", OPTION_VALUES, 0},
};
enum { OPTION_NAMES = sizeof option_names / sizeof *option_names };

static weir_status take_option(struct arguments *arguments, const struct option_name *name,
                               const char *text, struct weir_error *reterr)
{
    uint64_t number = 0;
    if (name->limit > 0)
        WEIR_TRY(parse_number(name->name, text, name->limit, &number, reterr));
    switch (name->option) {
    case OPTION_COUNT:
        arguments->count = number;
        arguments->counted = true;
        break;
    case OPTION_SEED: arguments->options.seed = number; break;
    case OPTION_FIRST: arguments->first = number; break;
    case OPTION_BAD: arguments->options.bad = (unsigned)number; break;
    case OPTION_LATE: arguments->options.late = (unsigned)number; break;
    case OPTION_DUPLICATES: arguments->options.duplicates = (unsigned)number; break;
    case OPTION_TOMBSTONES: arguments->options.tombstones = (unsigned)number; break;
    case OPTION_TRANSACTION_SIZE: arguments->kafka.transaction_size = number; break;
    case OPTION_ABORT_EVERY: arguments->kafka.abort_every = number; break;
    case OPTION_PARTITIONS: arguments->kafka.partitions_expected = (int)number; break;
    case OPTION_SHAPE: return parse_shape(text, &arguments->options.shape, reterr);
    case OPTION_KAFKA: arguments->kafka.brokers = text; break;
    case OPTION_TOPIC: arguments->kafka.topic = text; break;
    case OPTION_TRANSACTIONAL: arguments->kafka.transactional = text; break;
    case OPTION_MANIFEST: arguments->manifest = text; break;
    case OPTION_VALUES: arguments->values = text; break;
    }
    return WEIR_OK;
}

static weir_status check_arguments(const struct arguments *arguments, struct weir_error *reterr)
{
    const struct gen_kafka_options *kafka = &arguments->kafka;
    if (!arguments->counted)
        return weir_fail(reterr, WEIR_USAGE, "--count is missing");
    if ((kafka->brokers == NULL) != (kafka->topic == NULL))
        return weir_fail(reterr, WEIR_USAGE, "--kafka and --topic go together");
    if (kafka->brokers == NULL && (kafka->transactional != NULL || kafka->partitions_expected > 0 ||
                                   arguments->values != NULL || arguments->options.tombstones > 0))
        return weir_fail(
            reterr, WEIR_USAGE,
            "--transactional, --partitions-expected, --tombstones and --values need --kafka");
    if (kafka->transactional == NULL && kafka->abort_every > 0)
        return weir_fail(reterr, WEIR_USAGE, "--abort-every needs --transactional");
    if (kafka->transaction_size == 0)
        return weir_fail(reterr, WEIR_USAGE, "--transaction-size 0: want 1 or more");
    return WEIR_OK;
}

/* Ends the process on --help and on what getopt has already complained about. */
static weir_status parse_arguments(struct arguments *arguments, int argc, char **argv,
                                   struct weir_error *reterr)
{
    struct option options[OPTION_NAMES + 2] = {{0}};
    for (size_t i = 0; i < OPTION_NAMES; i++)
        options[i] = (struct option){option_names[i].name, required_argument, NULL,
                                     (int)option_names[i].option};
    options[OPTION_NAMES] = (struct option){"help", no_argument, NULL, 'h'};
    int option;
    while ((option = getopt_long(argc, argv, "hX:", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            exit(0);
        }
        if (option == '?')
            return weir_fail(reterr, WEIR_USAGE, "see weir-gen --help");
        if (option == 'X') {
            if (arguments->kafka.setting_count ==
                sizeof arguments->kafka.settings / sizeof *arguments->kafka.settings)
                return weir_fail(reterr, WEIR_USAGE, "more than %zu -X",
                                 arguments->kafka.setting_count);
            arguments->kafka.settings[arguments->kafka.setting_count++] = optarg;
            continue;
        }
        WEIR_TRY(take_option(arguments, &option_names[option - OPTION_COUNT], optarg, reterr));
    }
    if (optind < argc)
        return weir_fail(reterr, WEIR_USAGE, "'%s': no argument is expected here", argv[optind]);
    return check_arguments(arguments, reterr);
}

static weir_status generate(const struct arguments *arguments, struct weir_account *account,
                            struct weir_error *reterr)
{
    struct gen_output output = {
        .options = &arguments->options, .first = arguments->first, .count = arguments->count};
    weir_status status = weir_alloc(account, GEN_RECORD_SIZE_MAX, &output.text.data, reterr);
    if (status != WEIR_OK)
        return status;
    output.text.capacity = GEN_RECORD_SIZE_MAX;
    if (arguments->manifest != NULL)
        WEIR_TRY_OUT(status, weir_alloc_zero(account, output.count, sizeof *output.entries,
                                             &output.entries, reterr));
    if (arguments->values != NULL && (output.values = fopen(arguments->values, "w")) == NULL) {
        status = weir_fail(reterr, WEIR_IO, "%s: %s", arguments->values, strerror(errno));
        goto out;
    }
    if (arguments->kafka.brokers != NULL)
        WEIR_TRY_OUT(status, gen_kafka_produce(&arguments->kafka, &output, reterr));
    else
        WEIR_TRY_OUT(status, write_lines(&output, reterr));
    if (arguments->manifest != NULL)
        WEIR_TRY_OUT(status, gen_output_manifest(&output, arguments->manifest, reterr));
out:
    if (arguments->values != NULL && output.values != NULL && fclose(output.values) != 0 &&
        status == WEIR_OK)
        status = weir_fail(reterr, WEIR_IO, "%s: %s", arguments->values, strerror(errno));
    weir_free(output.entries);
    weir_free(output.text.data);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.options.seed = 1, .kafka.transaction_size = 1000};
    struct weir_account account;
    struct weir_error error = {0};
    weir_account_init(&account, NULL, "weir-gen", 0);
    weir_status status = parse_arguments(&arguments, argc, argv, &error);
    if (status == WEIR_OK)
        status = generate(&arguments, &account, &error);
    if (status != WEIR_OK)
        fprintf(stderr, "weir-gen: %s\n", error.text);
    return weir_status_exit_code(status);
}
