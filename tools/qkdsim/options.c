// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"
#include "kme_json.h"
#include "say.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"qkdsim: a SIMULATED pair of QKD devices, for tests and demonstrations.\n"
	"\n"
	"usage: qkdsim --listen-a ADDRESS:PORT --certificate-a FILE --key-a FILE --sae-a NAME\n"
	"              --listen-b ADDRESS:PORT --certificate-b FILE --key-b FILE --sae-b NAME\n"
	"              --ca FILE [options]\n"
	"       qkdsim ctl SOCKET VERB...     tell a running one what happens to its link\n"
	"\n"
	"Two KMEs, A and B, serve ETSI GS QKD 014 over mutual TLS, as the devices at the ends\n"
	"of a QKD link do: what SAE A gets from A by enc_keys, SAE B gets from B by dec_keys,\n"
	"and the other way round. The keys are random numbers, not quantum keys, and say so.\n"
	"\n"
	"Devices:\n"
	"  --listen-a, --listen-b ADDRESS:PORT   where each serves; [IPv6]:PORT\n"
	"  --certificate-a, --certificate-b FILE PEM chain of each device\n"
	"  --key-a, --key-b FILE                 its private key\n"
	"  --ca FILE                             authority of the SAEs' certificates\n"
	"  --sae-a, --sae-b NAME                 the SAE that each serves: the name that its\n"
	"                                        certificate must carry, and its SAE ID\n"
	"  --kme-a, --kme-b NAME                 KME IDs (kme-a, kme-b)\n"
	"  --key-size BITS                       default key size (256)\n"
	"  --max-keys N                          keys stored at most (10000)\n"
	"  --hold SECONDS                        a key waits this long for its other end (600)\n"
	"  --control SOCKET                      Unix socket for `qkdsim ctl`\n"
	"  --ready-fd N                          write \"ready PORT-A PORT-B\" there when serving\n"
	"\n"
	"Link; the key rate follows by the decoy-state BB84 formula:\n"
	"  --distance KM         length of the fibre (50)\n"
	"  --loss DB             its loss per km (0.2)\n"
	"  --efficiency SHARE    of the receiver with its detectors (0.1)\n"
	"  --dark-counts P       per gate and detector (1e-6)\n"
	"  --misalignment SHARE  of photons at the wrong detector (0.01)\n"
	"  --pulse-rate HZ       (1e8)\n"
	"  --mu PHOTONS          mean photon number of signal states (0.48)\n"
	"  --nu PHOTONS          of the weak decoy state; 0: infinitely many decoys (0.05)\n"
	"  --f-ec FACTOR         inefficiency of error correction (1.16)\n"
	"  --sifting SHARE       of pulses that sifting leaves (0.5)\n"
	"  --rate KEYS           keys per second INSTEAD of the formula: for tests. Cutting\n"
	"                        the fibre and a QBER above 11% stop it all the same\n"
	"\n"
	"SIGTERM ends it. `qkdsim ctl` without a verb lists the verbs. See qkdsim(1).\n";

enum {
	OPT_LISTEN = 256, /* the options that each side has, A then B */
	OPT_CERTIFICATE = OPT_LISTEN + SIDES,
	OPT_KEY = OPT_CERTIFICATE + SIDES,
	OPT_SAE = OPT_KEY + SIDES,
	OPT_KME = OPT_SAE + SIDES,
	OPT_CA = OPT_KME + SIDES,
	OPT_KEY_SIZE,
	OPT_MAX_KEYS,
	OPT_HOLD,
	OPT_CONTROL,
	OPT_READY_FD,
	OPT_DISTANCE,
	OPT_LOSS,
	OPT_EFFICIENCY,
	OPT_DARK_COUNTS,
	OPT_MISALIGNMENT,
	OPT_PULSE_RATE,
	OPT_MU,
	OPT_NU,
	OPT_F_EC,
	OPT_SIFTING,
	OPT_RATE,
};

static const struct option known[] = {
	{"listen-a", required_argument, NULL, OPT_LISTEN + SIDE_A},
	{"listen-b", required_argument, NULL, OPT_LISTEN + SIDE_B},
	{"certificate-a", required_argument, NULL, OPT_CERTIFICATE + SIDE_A},
	{"certificate-b", required_argument, NULL, OPT_CERTIFICATE + SIDE_B},
	{"key-a", required_argument, NULL, OPT_KEY + SIDE_A},
	{"key-b", required_argument, NULL, OPT_KEY + SIDE_B},
	{"sae-a", required_argument, NULL, OPT_SAE + SIDE_A},
	{"sae-b", required_argument, NULL, OPT_SAE + SIDE_B},
	{"kme-a", required_argument, NULL, OPT_KME + SIDE_A},
	{"kme-b", required_argument, NULL, OPT_KME + SIDE_B},
	{"ca", required_argument, NULL, OPT_CA},
	{"key-size", required_argument, NULL, OPT_KEY_SIZE},
	{"max-keys", required_argument, NULL, OPT_MAX_KEYS},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"control", required_argument, NULL, OPT_CONTROL},
	{"ready-fd", required_argument, NULL, OPT_READY_FD},
	{"distance", required_argument, NULL, OPT_DISTANCE},
	{"loss", required_argument, NULL, OPT_LOSS},
	{"efficiency", required_argument, NULL, OPT_EFFICIENCY},
	{"dark-counts", required_argument, NULL, OPT_DARK_COUNTS},
	{"misalignment", required_argument, NULL, OPT_MISALIGNMENT},
	{"pulse-rate", required_argument, NULL, OPT_PULSE_RATE},
	{"mu", required_argument, NULL, OPT_MU},
	{"nu", required_argument, NULL, OPT_NU},
	{"f-ec", required_argument, NULL, OPT_F_EC},
	{"sifting", required_argument, NULL, OPT_SIFTING},
	{"rate", required_argument, NULL, OPT_RATE},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static bool bad(const char *name, const char *value, const char *want)
{
	say("--%s %s: %s", name, value, want);
	return false;
}

static bool take_unsigned(const char *name, const char *value, unsigned long low,
			  unsigned long high, unsigned int *out)
{
	char want[80];
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (!errno && *value != '-' && end != value && !*end && number >= low && number <= high) {
		*out = (unsigned int)number;
		return true;
	}
	snprintf(want, sizeof(want), "a number from %lu to %lu is wanted", low, high);
	return bad(name, value, want);
}

static bool take_double(const char *name, const char *value, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(value, &end);
	if (!errno && end != value && !*end)
		return true;
	return bad(name, value, "a number is wanted");
}

static bool take_name(const char *name, const char *value, char *out, size_t size)
{
	if (!*value || strlen(value) >= size)
		return bad(name, value, "a name that is not empty and not that long is wanted");
	strcpy(out, value);
	return true;
}

/* "127.0.0.1:8014", "[::1]:8014" */
static bool take_address(const char *name, const char *value, struct kme_settings *kme)
{
	const char *colon = strrchr(value, ':');
	const char *start = value;
	size_t len;
	unsigned int port;

	if (!colon)
		return bad(name, value, "ADDRESS:PORT is wanted");
	len = (size_t)(colon - value);
	if (len > 1 && value[0] == '[' && value[len - 1] == ']') {
		start++;
		len -= 2;
	}
	if (!len || len >= sizeof(kme->address))
		return bad(name, value, "ADDRESS:PORT is wanted");
	if (!take_unsigned(name, colon + 1, 0, 65535, &port))
		return false;
	memcpy(kme->address, start, len);
	kme->address[len] = 0;
	kme->port = (uint16_t)port;
	return true;
}

static bool take_side(int option, const char *name, const char *value, struct options *options)
{
	struct kme_settings *kme = &options->kme[(option - OPT_LISTEN) % SIDES];

	switch (option - (option - OPT_LISTEN) % SIDES) {
	case OPT_LISTEN:
		return take_address(name, value, kme);
	case OPT_CERTIFICATE:
		kme->tls.certificate = value;
		return true;
	case OPT_KEY:
		kme->tls.key = value;
		return true;
	case OPT_SAE:
		return take_name(name, value, kme->sae, sizeof(kme->sae));
	default:
		return take_name(name, value, kme->name, sizeof(kme->name));
	}
}

static double *physics_of(int option, struct rate_link *physics)
{
	switch (option) {
	case OPT_DISTANCE:
		return &physics->distance_km;
	case OPT_LOSS:
		return &physics->loss_db_per_km;
	case OPT_EFFICIENCY:
		return &physics->efficiency;
	case OPT_DARK_COUNTS:
		return &physics->dark_count;
	case OPT_MISALIGNMENT:
		return &physics->misalignment;
	case OPT_PULSE_RATE:
		return &physics->pulse_rate_hz;
	case OPT_MU:
		return &physics->mu;
	case OPT_NU:
		return &physics->nu;
	case OPT_F_EC:
		return &physics->f_ec;
	case OPT_SIFTING:
		return &physics->sifting;
	default:
		return NULL;
	}
}

static bool take_common(int option, const char *name, const char *value, struct options *options)
{
	struct link_settings *link = &options->link;
	double *number = physics_of(option, &link->physics);
	unsigned int fd;

	if (number)
		return take_double(name, value, number);
	switch (option) {
	case OPT_CA:
		options->kme[SIDE_A].tls.ca = value;
		options->kme[SIDE_B].tls.ca = value;
		return true;
	case OPT_CONTROL:
		options->control = value;
		return true;
	case OPT_KEY_SIZE:
		return take_unsigned(name, value, KME_MIN_KEY_BITS, KME_MAX_KEY_BITS,
				     &link->key_bits);
	case OPT_MAX_KEYS:
		return take_unsigned(name, value, 1, 1000000, &link->max_keys);
	case OPT_HOLD:
		return take_unsigned(name, value, 1, 86400, &link->hold_s);
	case OPT_READY_FD:
		if (!take_unsigned(name, value, 0, 1023, &fd))
			return false;
		options->ready_fd = (int)fd;
		return true;
	default:
		return take_double(name, value, &link->keys_per_s) &&
		       ((link->keys_per_s >= 0 && link->keys_per_s <= 1e6) ||
			bad(name, value, "keys per second, from 0 to 1000000, are wanted"));
	}
}

static bool complete(const struct options *options)
{
	const char *wrong = rate_link_check(&options->link.physics);

	for (int side = 0; side < SIDES; side++) {
		const struct kme_settings *kme = &options->kme[side];

		if (!*kme->address || !*kme->sae || !kme->tls.certificate || !kme->tls.key ||
		    !kme->tls.ca) {
			say("--listen-%c, --certificate-%c, --key-%c, --sae-%c and --ca are needed "
			    "(see --help)",
			    'a' + side, 'a' + side, 'a' + side, 'a' + side);
			return false;
		}
	}
	if (strcmp(options->kme[SIDE_A].sae, options->kme[SIDE_B].sae) == 0) {
		say("--sae-a and --sae-b must differ");
		return false;
	}
	if (options->link.key_bits % 8) {
		say("--key-size must be a multiple of 8");
		return false;
	}
	if (wrong)
		say("--%s: the value makes no sense", wrong);
	return !wrong;
}

enum options_result options_parse(int argc, char **argv, struct options *options)
{
	int index = 0;
	int option;

	*options = (struct options){
		.kme = {{.name = "kme-a"}, {.name = "kme-b"}},
		.link =
			{
				.physics = rate_link_default,
				.keys_per_s = -1,
				.key_bits = 256,
				.max_keys = 10000,
				.hold_s = 600,
			},
		.ready_fd = -1,
	};
	while ((option = getopt_long(argc, argv, "h", known, &index)) != -1) {
		bool taken;

		if (option == 'h') {
			fputs(help, stdout);
			return OPTIONS_HELP;
		}
		if (option == '?')
			return OPTIONS_BAD; /* getopt has said why */
		taken = option < OPT_CA ? take_side(option, known[index].name, optarg, options)
					: take_common(option, known[index].name, optarg, options);
		if (!taken)
			return OPTIONS_BAD;
	}
	if (optind < argc) {
		say("'%s' is not an option (see --help)", argv[optind]);
		return OPTIONS_BAD;
	}
	return complete(options) ? OPTIONS_RUN : OPTIONS_BAD;
}
