/* The inventory shape: what an agent on a computer reports, some 700 bytes, nested and with text
 * beyond ASCII. What belongs to the device (site, system, memory, disks) stays the same from record
 * to record. */
#include "tools/gen/record.h"

enum { STREAM_DEVICE_FACTS = 16, STREAM_INVENTORY = 17 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const sites[] = {"aarhus",  "bilbao", "chennai", "denver",  "essen",
                                    "fukuoka", "graz",   "haifa",   "iquique", "jakarta"};

struct system {
    const char *name, *versions[4];
    unsigned builds[4];
    bool windows;
};
static const struct system systems[] = {
    {"Windows 11", {"21H2", "22H2", "23H2", "24H2"}, {22000, 22621, 22631, 26100}, true},
    {"Windows Server 2022", {"21H2", "21H2", "21H2", "23H2"}, {20348, 20348, 20348, 25398}, true},
    {"Debian", {"11.11", "12.5", "12.9", "12.11"}, {11110, 12050, 12090, 12110}, false},
    {"Red Hat Enterprise Linux", {"8.10", "9.2", "9.4", "9.6"}, {8100, 9020, 9040, 9060}, false},
    {"macOS", {"13.7", "14.5", "15.2", "15.5"}, {22730, 23505, 24205, 24505}, false},
};
static const unsigned char system_of_ten[10] = {0, 0, 0, 0, 0, 1, 2, 2, 3, 4};

static const struct processor {
    const char *model;
    unsigned cores;
} processors[] = {
    {"Intel Core Ultra 7 155H", 16}, {"Intel Core i5-1345U", 10},     {"AMD Ryzen 7 7840U", 8},
    {"AMD EPYC 9124", 16},           {"Intel Xeon Silver 4410Y", 12}, {"Apple M3", 8},
    {"Qualcomm X1E-80-100", 12},     {"AMD Ryzen 5 8500G", 6},
};

static const char *const programs[] = {
    "firefox",   "thunderbird", "openssh",   "curl",  "git",      "python3",    "temurin-jdk",
    "nginx",     "postgresql",  "wireshark", "gimp",  "inkscape", "keepassxc",  "zoom",
    "vscodium",  "libreoffice", "osquery",   "wazuh", "docker",   "containerd", "7-zip",
    "notepad++", "filezilla",   "node",      "go",    "rustup",
};
static const char *const tag_names[] = {"owner", "cost_center", "room",   "stage", "role",
                                        "lease", "wave",        "remark", "asset"};
/* JSON text as it stands between quotes: escapes of every kind, surrogate pairs, raw UTF-8. */
static const char *const tag_values[] = {
    "production",
    "test",
    "Malm\\u00f6",
    "S\xc3\xa3o Paulo",
    "\xe5\xa4\xa7\xe9\x98\xaa",
    "bay \\\"C\\\" 4",
    "tab\\there",
    "first\\nlast",
    "a\\/b\\\\c",
    "kiosk",
    "\\uD83D\\uDCBB fleet",
    "\xf0\x9f\x9b\xb0 uplink",
    "spare",
    "\\u00c5se \\u00d8stby",
};

static unsigned tenant_of(uint64_t facts)
{
    static const unsigned short upto[8] = {
        380, 570, 700, 800, 880, 940, 980, 1000}; /* of a thousand: few large, many small */
    unsigned draw = (unsigned)(facts % 1000), tenant = 0;
    while (draw >= upto[tenant])
        tenant++;
    return tenant + 1;
}

static void put_disks(struct gen_text *text, const struct system *system, uint64_t facts,
                      struct gen_draw *draw)
{
    static const unsigned char disks_of_eight[8] = {1, 1, 1, 1, 2, 2, 3, 0};
    static const char *const windows[] = {"C:\\\\", "D:\\\\", "E:\\\\"}, *const others[] = {
                                                                             "/", "/srv", "/home"};
    unsigned count = disks_of_eight[facts >> 40 & 7];
    GEN_PUT(text, "\"disks\":[");
    for (unsigned i = 0; i < count; i++) {
        uint64_t total = 1192u << (facts >> (43 + 2 * i) & 3);
        gen_put_text(text, i > 0 ? ",{\"mount\":\"" : "{\"mount\":\"");
        gen_put_text(text, system->windows ? windows[i] : others[i]);
        GEN_PUT(text, "\",\"total_gb\":");
        gen_put_scaled(text, total, 1);
        GEN_PUT(text, ",\"free_gb\":");
        gen_put_scaled(text, gen_below(draw, (uint32_t)total * 10), 2);
        gen_put_text(text,
                     facts >> (50 + i) & 1 ? ",\"encrypted\":true}" : ",\"encrypted\":false}");
    }
    GEN_PUT(text, "],");
}

static void put_software(struct gen_text *text, struct gen_draw *draw)
{
    uint64_t bits = gen_next(draw);
    unsigned count = 2 + (unsigned)(bits & 3), at = (unsigned)(bits >> 8) % COUNT(programs);
    GEN_PUT(text, "\"software\":[");
    for (unsigned i = 0; i < count; i++) {
        gen_put_text(text, i > 0 ? ",{\"name\":\"" : "{\"name\":\"");
        gen_put_text(text, programs[(at + i * 7) % COUNT(programs)]);
        GEN_PUT(text, "\",\"version\":\"");
        gen_put_uint(text, bits >> (16 + 8 * i) & 31);
        GEN_PUT(text, ".");
        gen_put_uint(text, bits >> (21 + 8 * i) & 7);
        GEN_PUT(text, "\"}");
    }
    GEN_PUT(text, "],");
}

static void put_tags(struct gen_text *text, struct gen_draw *draw)
{
    uint64_t bits = gen_next(draw);
    unsigned count = (unsigned)(bits & 3), at = (unsigned)(bits >> 8 & 0xFF);
    GEN_PUT(text, "\"tags\":{");
    for (unsigned i = 0; i < count; i++) {
        gen_put_text(text, i > 0 ? ",\"" : "\"");
        gen_put_text(text, tag_names[(at + i * 4) % COUNT(tag_names)]);
        GEN_PUT(text, "\":\"");
        gen_put_text(text, tag_values[(bits >> (16 + 8 * i) & 0xFF) % COUNT(tag_values)]);
        GEN_PUT(text, "\"");
    }
    GEN_PUT(text, "}}");
}

static void put_identity(struct gen_text *text, uint32_t device, uint64_t facts,
                         enum gen_fault fault, struct gen_draw *draw)
{
    const char *site = sites[(facts >> 10) % COUNT(sites)];
    GEN_PUT(text, "{\"record_id\":\"");
    gen_put_uuid(text, draw);
    if (fault != GEN_REQUIRED) {
        GEN_PUT(text, "\",\"tenant_id\":\"tenant-");
        gen_put_padded(text, tenant_of(facts), 2);
    }
    GEN_PUT(text, "\",\"device_id\":\"dev-");
    gen_put_padded(text, device, 6);
    GEN_PUT(text, "\",\"hostname\":\"");
    gen_put_text(text, site);
    GEN_PUT(text, "-");
    gen_put_padded(text, device, 6);
    GEN_PUT(text, ".corp.example\",\"site\":\"");
    gen_put_text(text, site);
}

static void put_hardware(struct gen_text *text, const struct system *system, uint64_t facts,
                         enum gen_fault fault, struct gen_draw *draw)
{
    const struct processor *processor = &processors[facts >> 30 & 7];
    /* A device's version moves on now and then: one record in sixteen shows the next one. */
    unsigned version = (unsigned)((facts >> 33 & 3) + (gen_below(draw, 16) == 0)) & 3;
    GEN_PUT(text, "\",\"os\":{\"name\":\"");
    gen_put_text(text, system->name);
    GEN_PUT(text, "\",\"version\":\"");
    gen_put_text(text, system->versions[version]);
    GEN_PUT(text, "\",\"build\":");
    if (fault == GEN_TYPE)
        GEN_PUT(text, "\"unknown\"");
    else
        gen_put_uint(text, system->builds[version]);
    GEN_PUT(text, "},\"cpu\":{\"model\":\"");
    gen_put_text(text, processor->model);
    GEN_PUT(text, "\",\"cores\":");
    gen_put_uint(text, processor->cores);
    GEN_PUT(text, ",\"usage_pct\":");
    uint32_t usage = gen_below(draw, 10001);
    gen_put_scaled(text, (uint64_t)usage * usage / 10000, 2);
    uint64_t total = 8192ull << (facts >> 35 & 3);
    GEN_PUT(text, "},\"memory\":{\"total_mb\":");
    gen_put_uint(text, total);
    GEN_PUT(text, ",\"used_mb\":");
    gen_put_uint(text, total / 16 + gen_below(draw, (uint32_t)(total - total / 8)));
    GEN_PUT(text, "},");
}

void gen_inventory(const struct gen_options *options, uint64_t index, enum gen_fault fault,
                   struct gen_text *text)
{
    uint32_t device = gen_device(options, index);
    struct gen_draw device_draw = gen_draw_at(options->seed, STREAM_DEVICE_FACTS, device);
    struct gen_draw draw = gen_draw_at(options->seed, STREAM_INVENTORY, index);
    uint64_t facts = gen_next(&device_draw);
    const struct system *system = &systems[system_of_ten[(facts >> 20) % 10]];
    put_identity(text, device, facts, fault, &draw);
    put_hardware(text, system, facts, fault, &draw);
    put_disks(text, system, facts, &draw);
    put_software(text, &draw);
    GEN_PUT(text, "\"agent_version\":\"7.");
    gen_put_uint(text, facts >> 54 & 7);
    GEN_PUT(text, ".");
    gen_put_uint(text, gen_below(&draw, 5));
    int64_t time = gen_record_time(options, index, &draw);
    GEN_PUT(text, "\",\"last_boot\":\"");
    gen_put_time(text, time - (int64_t)gen_below(&draw, 45 * 86400) * 1000, false, 0);
    GEN_PUT(text, "\",\"collected_at\":\"");
    if (fault == GEN_RANGE)
        GEN_PUT(text, "2026-02-30T25:61:00Z");
    else /* Some sites report local time, with its offset. */
        gen_put_time(text, time, true, (facts >> 57 & 15) == 0 ? 330 : 0);
    GEN_PUT(text, "\",");
    put_tags(text, &draw);
}
