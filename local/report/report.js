"use strict";
// The controls to rates and costs: what happens at a threshold, by the points of the curve.

const { systems } = JSON.parse(document.getElementById("data").textContent);
const field = (id) => document.getElementById(id);
const [slider, logOdds] = [field("slider"), field("log-odds")];
const numbers = { prior: field("prior"), cMiss: field("c-miss"), cFalseAlarm: field("c-false-alarm") };

// The values of the number fields: the last valid ones.
let costs = {};

function system() {
  return systems[field("system")?.selectedIndex ?? 0];
}

// --- numbers

function rates({ thresholds, num_missed, num_accepted, num_clients, num_impostors }, point) {
  return {
    threshold: thresholds[point],
    miss: num_missed[point] / num_clients,
    falseAlarm: num_accepted[point] / num_impostors,
  };
}

function normalisedCost({ miss, falseAlarm }, { prior, cMiss, cFalseAlarm }) {
  const ofNone = cMiss * prior;
  const ofAll = cFalseAlarm * (1 - prior);
  return (ofNone * miss + ofAll * falseAlarm) / Math.min(ofNone, ofAll);
}

// The cheapest of all thresholds, although the page may have only some: it has the vertices of the
// convex hull.
function cheapestPoint() {
  const all = system().thresholds.map((_, point) => normalisedCost(rates(system(), point), costs));
  return all.indexOf(Math.min(...all));
}

function bayesThreshold({ prior, cMiss, cFalseAlarm }) {
  return Math.log((cFalseAlarm * (1 - prior)) / (cMiss * prior));
}

// The first point at or above a threshold, and whether its rates are those of the threshold.
function pointAt(threshold) {
  const { thresholds, marks, is_complete } = system();
  const isIt = ({ name, threshold: other }) =>
    name.startsWith("act_dcf") && Math.abs(other - threshold) < 1e-9;
  const mark = marks.find(isIt);
  const above = thresholds.findIndex((other) => other >= threshold);
  const last = thresholds.length - 1;
  const point = mark?.point ?? (above < 0 ? last : above);
  const isOutside = above < 0 || above === 0;
  return { point, isExact: is_complete || mark !== undefined || isOutside };
}

// Rounds as Python does: a half to the even digit, where toFixed takes the upper one.
function fixed(value, decimals) {
  const rounded = value.toFixed(decimals);
  const [, shorter, rest] = value.toFixed(100).match(`^(-?\\d+\\.\\d{${decimals}})(\\d*)$`);
  const isHalf = /^50*$/.test(rest);
  return isHalf && Number(shorter.at(-1)) % 2 === 0 ? shorter : rounded;
}

// --- what is shown

function show(id, value, text) {
  field(id).dataset.value = value;
  field(id).textContent = text;
}

function showPoint(name, point, threshold, isExact = true) {
  const found = rates(system(), point);
  const cost = normalisedCost(found, costs);
  const about = isExact ? "" : "≈ ";
  show(`${name}-threshold`, threshold, fixed(threshold, system().decimals));
  show(`${name}-miss`, found.miss, `${about}${fixed(100 * found.miss, 3)} %`);
  show(`${name}-false-alarm`, found.falseAlarm, `${about}${fixed(100 * found.falseAlarm, 3)} %`);
  show(`${name}-cost`, cost, `${about}${fixed(cost, 4)}`);
}

function showCount(id, count, total, what) {
  show(id, count, `${count.toLocaleString("en")} of ${total.toLocaleString("en")} ${what}`);
}

function refresh() {
  const { thresholds, num_missed, num_accepted, num_clients, num_impostors, x, y } = system();
  const point = slider.valueAsNumber;
  showPoint("now", point, thresholds[point]);
  showCount("now-miss-count", num_missed[point], num_clients, "clients rejected");
  showCount("now-false-alarm-count", num_accepted[point], num_impostors, "impostors accepted");
  field("now-cost-count").textContent = `at a prior of ${costs.prior}`;
  slider.setAttribute("aria-valuetext", field("now-threshold").textContent);
  field("det-point").setAttribute("cx", x[point]);
  field("det-point").setAttribute("cy", y[point]);

  const best = cheapestPoint();
  showPoint("best", best, thresholds[best]);
  const bayes = bayesThreshold(costs);
  const { point: atBayes, isExact } = pointAt(bayes);
  showPoint("bayes", atBayes, bayes, isExact);
  field("about").hidden = isExact;
}

// --- the controls

function readCosts() {
  const entered = {};
  for (const [name, input] of Object.entries(numbers)) {
    const value = input.valueAsNumber;
    const isValid = value > 0 && value < (name === "prior" ? 1 : Infinity);
    input.setAttribute("aria-invalid", !isValid);
    entered[name] = isValid ? value : costs[name];
  }
  const isWrong = Object.values(numbers).some((input) => input.getAttribute("aria-invalid") === "true");
  field("problem").textContent = isWrong
    ? "The prior must be between 0 and 1, and costs above 0: the last such numbers count."
    : "";
  costs = entered;
}

function setCosts(prior, { c_miss, c_false_alarm }) {
  numbers.prior.value = prior;
  numbers.cMiss.value = c_miss;
  numbers.cFalseAlarm.value = c_false_alarm;
  readCosts();
  logOdds.value = Math.log(prior / (1 - prior));
}

function goTo(mark) {
  if (mark.p_target) setCosts(mark.p_target, system());
  slider.value = mark.point;
  refresh();
}

// Three digits of the prior or of its complement, whichever is smaller.
function priorOfLogOdds(odds) {
  const prior = 1 / (1 + Math.exp(-odds));
  return prior.toFixed(2 - Math.floor(Math.log10(Math.min(prior, 1 - prior))));
}

function button(name, label, go) {
  const made = document.createElement("button");
  made.type = "button";
  made.dataset.mark = name;
  made.textContent = label;
  made.addEventListener("click", go);
  return made;
}

function chooseSystem() {
  const { thresholds, marks, x, y } = system();
  slider.max = thresholds.length - 1;
  slider.value = marks[0].point;
  field("det-curve").setAttribute("points", x.map((value, i) => `${value},${y[i]}`).join(" "));
  const lowest = button("minimum", "lowest cost at this prior", () => goTo({ point: cheapestPoint() }));
  const all = marks.map((mark) => button(mark.name, mark.label, () => goTo(mark)));
  field("buttons").replaceChildren(...all, lowest);
  refresh();
}

function start() {
  slider.addEventListener("input", refresh);
  logOdds.addEventListener("input", () => {
    numbers.prior.value = priorOfLogOdds(logOdds.valueAsNumber);
    readCosts();
    refresh();
  });
  for (const input of Object.values(numbers)) {
    input.addEventListener("input", () => {
      readCosts();
      logOdds.value = Math.log(costs.prior / (1 - costs.prior));
      refresh();
    });
  }
  field("system")?.addEventListener("change", chooseSystem);
  const { marks } = systems[0];
  setCosts(marks.find((mark) => mark.p_target)?.p_target ?? 0.5, systems[0]);
  chooseSystem();
  field("controls").hidden = false;
}

// A page that was moved or sent to somebody has lost its audio.
function watchPlayers() {
  for (const player of document.querySelectorAll("audio")) {
    player.addEventListener("error", () => {
      const remark = document.createElement("span");
      remark.className = "remark";
      remark.textContent = "not reachable from here";
      player.replaceWith(remark);
    });
  }
}

start();
watchPlayers();
