"""A headless Chromium, and somebody who reads a report in it."""

import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")


def start_chromium(*arguments):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))


class Reader:
    """Somebody with the report, or another page, open in a browser."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path):
        self.open_address(path.as_uri())

    def open_address(self, address):
        self.logs("browser"), self.logs("performance")
        self.driver.get(address)

    def logs(self, kind):
        return self.driver.get_log(kind)

    def part(self, name):
        return self.driver.find_element(By.ID, name)

    def value(self, name):
        return float(self.part(name).get_attribute("data-value"))

    def text(self, name):
        return self.part(name).text

    def press(self, mark):
        self.driver.find_element(By.CSS_SELECTOR, f"[data-mark='{mark}']").click()

    def enter(self, name, text):
        field = self.part(name)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)

    def in_table(self, key):
        """(full value, text) of each number of this name in the tables."""
        found = self.driver.find_elements(By.CSS_SELECTOR, f"[data-key='{key}'][data-value]")
        return [(float(part.get_attribute("data-value")), part.text) for part in found]

    def set_width(self, width):
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def until(self, condition):
        WebDriverWait(self.driver, 10, poll_frequency=0.02).until(lambda _: condition())
