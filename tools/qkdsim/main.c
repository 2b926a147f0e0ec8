// SPDX-License-Identifier: GPL-2.0-or-later
/* qkdsim: a simulated pair of QKD devices. */
#include "control.h"
#include "kme.h"
#include "kme_json.h"
#include "options.h"
#include "say.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct sim {
	struct loop *loop;
	struct link *link;
	struct faults faults;
	struct kme *kme[SIDES];
	struct control *control;
};

static void on_signal(int signo, void *arg)
{
	struct sim *sim = arg;

	say("%s: ending", strsignal(signo));
	loop_stop(sim->loop, 0);
}

/* Not quantum keys, but whoever tests with them may mix them with such. */
static void keep_out_of_core_files(void)
{
	struct rlimit none = {0, 0};

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
}

static int start_kmes(struct sim *sim, const struct options *options)
{
	for (int side = 0; side < SIDES; side++) {
		char error[512];

		if (kme_create(sim->loop, (enum side)side, &options->kme[side],
			       &options->kme[!side], sim->link, &sim->faults, &sim->kme[side],
			       error, sizeof(error))) {
			say("KME %s: %s", options->kme[side].name, error);
			return -1;
		}
	}
	return 0;
}

static void announce(const struct sim *sim, const struct options *options)
{
	struct link_report report = link_report(sim->link);

	for (int side = 0; side < SIDES; side++)
		say("KME %s serves SAE %s on %s port %u", options->kme[side].name,
		    options->kme[side].sae, options->kme[side].address, kme_port(sim->kme[side]));
	say("link of %g km: QBER %.4f, %.4g secret bits per pulse, %.6g bit/s%s",
	    options->link.physics.distance_km, report.rate.qber, report.rate.per_pulse,
	    report.bits_per_s, report.rate_forced ? " (overridden by --rate)" : "");
	say("ready");
	if (options->ready_fd < 0)
		return;
	if (dprintf(options->ready_fd, "ready %u %u\n", kme_port(sim->kme[SIDE_A]),
		    kme_port(sim->kme[SIDE_B])) < 0)
		say("--ready-fd %d cannot be written", options->ready_fd);
	close(options->ready_fd);
}

static int start(struct sim *sim, const struct options *options)
{
	static const int signals[] = {SIGTERM, SIGINT};
	int rc = loop_create(&sim->loop);

	if (rc) {
		say("%s", loop_create_error(rc));
		return rc;
	}
	rc = loop_signals(sim->loop, signals, 2, on_signal, sim);
	if (!rc)
		rc = link_create(sim->loop, &options->link, &sim->link);
	if (rc) {
		say("cannot start: %s", strerror(-rc));
		return rc;
	}
	rc = start_kmes(sim, options);
	if (rc || !options->control)
		return rc;
	rc = control_create(sim->loop, options->control, sim->link, &sim->faults, &sim->control);
	if (rc)
		say("control socket %s: %s", options->control, strerror(-rc));
	return rc;
}

static void stop(struct sim *sim)
{
	control_destroy(sim->control);
	for (int side = 0; side < SIDES; side++)
		kme_destroy(sim->kme[side]);
	link_destroy(sim->link);
	loop_destroy(sim->loop);
}

int main(int argc, char **argv)
{
	struct options options;
	struct sim sim = {0};
	int rc;

	kme_json_init();
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return control_client(argc - 2, argv + 2);
	switch (options_parse(argc, argv, &options)) {
	case OPTIONS_HELP:
		return EXIT_SUCCESS;
	case OPTIONS_BAD:
		return 2;
	case OPTIONS_RUN:
		break;
	}
	keep_out_of_core_files();
	rc = start(&sim, &options);
	if (!rc) {
		announce(&sim, &options);
		rc = loop_run(sim.loop);
		if (rc)
			say("the event loop failed: %s", strerror(-rc));
	}
	stop(&sim);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
