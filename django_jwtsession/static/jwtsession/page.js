// Times in the visitor's own zone. Without this file they are the site's, with the zone beside them.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (isNaN(at)) continue;
  const words = at.toLocaleString(document.documentElement.lang || undefined, {
    year: "numeric", month: "long", day: "numeric",
    hour: "numeric", minute: "2-digit", timeZoneName: "short",
  });
  if (time.title) time.title = words;
  else time.textContent = words;
}
