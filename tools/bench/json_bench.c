/* Reads a file of newline-delimited JSON into memory, decodes it as the reference workload's
 * schema, and prints the rate: json_bench FILE [ROUNDS] [TYPE]     TYPE: struct<...> as in a
 * pipeline file */
#include "formats/json/json.h"

#include "engine/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char inventory[] =
    "struct<record_id: string, tenant_id: string, device_id: string, hostname: string, site: "
    "string, "
    "os: struct<name: string, version: string, build: int>, cpu: struct<model: string, cores: int, "
    "usage_pct: double>, "
    "memory: struct<total_mb: long, used_mb: long>, "
    "disks: list<struct<mount: string, total_gb: double, free_gb: double, encrypted: boolean>>, "
    "software: list<struct<name: string, version: string>>, agent_version: string, last_boot: "
    "timestamptz, "
    "collected_at: timestamptz, tags: map<string, string>>";

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static weir_status read_file(const char *name, struct weir_buffer *out, struct weir_error *reterr)
{
    FILE *file = fopen(name, "rb");
    weir_status status = WEIR_OK;
    size_t got;

    if (!file)
        return weir_fail(reterr, WEIR_IO, "cannot open %s", name);
    do {
        status = weir_buffer_reserve(out, 1 << 20, reterr);
        if (status != WEIR_OK)
            break;
        got = fread(out->data + out->size, 1, 1 << 20, file);
        out->size += got;
    } while (got > 0);
    fclose(file);
    return status;
}

struct totals {
    uint64_t rows, refusals, bytes;
};

static weir_status decode_all(struct weir_json_decoder *decoder, const struct weir_buffer *input,
                              struct weir_arena *arena, struct totals *totals,
                              struct weir_error *reterr)
{
    struct weir_bytes records[WEIR_BATCH_ROWS];
    const uint8_t *at = input->data, *end = at + input->size;

    while (at < end) {
        struct weir_decoded decoded;
        uint32_t count = 0;
        while (at < end && count < WEIR_BATCH_ROWS) {
            const uint8_t *line = memchr(at, '\n', (size_t)(end - at));
            const uint8_t *stop = line ? line : end;
            records[count++] = (struct weir_bytes){.data = at, .size = (size_t)(stop - at)};
            at = stop + 1;
        }
        weir_arena_reset(arena);
        WEIR_TRY(weir_json_decode(decoder, records, count, arena, &decoded, reterr));
        totals->rows += decoded.batch.count;
        totals->refusals += decoded.refusal_count;
    }
    totals->bytes += input->size;
    return WEIR_OK;
}

static weir_status run(const char *name, int rounds, const char *type_text,
                       struct weir_error *reterr)
{
    struct weir_account account;
    struct weir_arena arena;
    struct weir_type schema;
    struct weir_json_decoder *decoder = NULL;
    weir_status status;

    weir_account_init(&account, NULL, "bench", 0);
    weir_arena_init(&arena, &account);
    WEIR_AUTO(weir_buffer) input = {.account = &account};
    struct weir_arena types;
    weir_arena_init(&types, &account);
    WEIR_TRY_OUT(status, weir_type_parse(&types, type_text, &schema, reterr));
    WEIR_TRY_OUT(status, read_file(name, &input, reterr));
    WEIR_TRY_OUT(status, weir_json_decoder_new(&account, &schema, NULL, &decoder, reterr));
    for (int round = 0; round < rounds; round++) {
        struct totals totals = {0};
        double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        WEIR_TRY_OUT(status, decode_all(decoder, &input, &arena, &totals, reterr));
        wall = seconds(CLOCK_MONOTONIC) - wall;
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        printf("%.0f MB/s wall, %.0f MB/s cpu, %.3f cpu s, %llu rows, %llu refused, %.0f bytes a "
               "record\n",
               (double)totals.bytes / 1e6 / wall, (double)totals.bytes / 1e6 / cpu, cpu,
               (unsigned long long)totals.rows, (unsigned long long)totals.refusals,
               (double)totals.bytes / (double)(totals.rows + totals.refusals + !totals.rows));
    }
out:
    weir_json_decoder_free(decoder);
    weir_arena_done(&arena);
    weir_arena_done(&types);
    return status;
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};

    if (argc < 2) {
        fprintf(stderr, "usage: json_bench FILE [ROUNDS] [TYPE]\n");
        return 2;
    }
    if (run(argv[1], argc > 2 ? atoi(argv[2]) : 3, argc > 3 ? argv[3] : inventory, &error) !=
        WEIR_OK) {
        fprintf(stderr, "json_bench: %s\n", error.text);
        return 1;
    }
    return 0;
}
