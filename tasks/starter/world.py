"""Countries, territories and states: capital and continent, one line a place.

Facts only; names are the usual short English ones. Continents follow the United Nations' geographic regions (M49), with
the Americas divided at the border of Panama and Colombia. Where a country names several capitals, the one where its
government sits or that its constitution names first is given; where the capital or the state itself is disputed between
governments, it is left out.
"""

from __future__ import annotations

from typing import NamedTuple

from .stock import words


class Country(NamedTuple):
    """A sovereign state: ISO 3166 code, name, capital, continent."""

    code: str
    name: str
    capital: str
    continent: str


COUNTRY_LINES = {
    "Africa": """
        DZ Algeria: Algiers; AO Angola: Luanda; BJ Benin: Porto-Novo; BW Botswana: Gaborone
        BF Burkina Faso: Ouagadougou; BI Burundi: Gitega; CM Cameroon: Yaoundé; CV Cape Verde: Praia
        CF Central African Republic: Bangui; TD Chad: N'Djamena; KM Comoros: Moroni; DJ Djibouti: Djibouti City
        EG Egypt: Cairo; GQ Equatorial Guinea: Malabo; ER Eritrea: Asmara; SZ Eswatini: Mbabane
        ET Ethiopia: Addis Ababa; GA Gabon: Libreville; GM Gambia: Banjul; GH Ghana: Accra; GN Guinea: Conakry
        GW Guinea-Bissau: Bissau; CI Ivory Coast: Yamoussoukro; KE Kenya: Nairobi; LS Lesotho: Maseru
        LR Liberia: Monrovia; LY Libya: Tripoli; MG Madagascar: Antananarivo; MW Malawi: Lilongwe; ML Mali: Bamako
        MR Mauritania: Nouakchott; MU Mauritius: Port Louis; MA Morocco: Rabat; MZ Mozambique: Maputo
        NA Namibia: Windhoek; NE Niger: Niamey; NG Nigeria: Abuja; RW Rwanda: Kigali
        ST São Tomé and Príncipe: São Tomé; SN Senegal: Dakar; SC Seychelles: Victoria; SL Sierra Leone: Freetown
        SO Somalia: Mogadishu; ZA South Africa: Pretoria; SS South Sudan: Juba; SD Sudan: Khartoum
        TZ Tanzania: Dodoma; TG Togo: Lomé; TN Tunisia: Tunis; UG Uganda: Kampala; ZM Zambia: Lusaka
        ZW Zimbabwe: Harare; CD Democratic Republic of the Congo: Kinshasa; CG Republic of the Congo: Brazzaville
    """,
    "Asia": """
        AF Afghanistan: Kabul; AM Armenia: Yerevan; AZ Azerbaijan: Baku; BH Bahrain: Manama; BD Bangladesh: Dhaka
        BT Bhutan: Thimphu; BN Brunei: Bandar Seri Begawan; KH Cambodia: Phnom Penh; CN China: Beijing
        CY Cyprus: Nicosia; GE Georgia: Tbilisi; IN India: New Delhi; ID Indonesia: Jakarta; IR Iran: Tehran
        IQ Iraq: Baghdad; JP Japan: Tokyo; JO Jordan: Amman; KZ Kazakhstan: Astana; KW Kuwait: Kuwait City
        KG Kyrgyzstan: Bishkek; LA Laos: Vientiane; LB Lebanon: Beirut; MY Malaysia: Kuala Lumpur; MV Maldives: Malé
        MN Mongolia: Ulaanbaatar; MM Myanmar: Naypyidaw; NP Nepal: Kathmandu; KP North Korea: Pyongyang
        OM Oman: Muscat; PK Pakistan: Islamabad; PH Philippines: Manila; QA Qatar: Doha; SA Saudi Arabia: Riyadh
        SG Singapore: Singapore; KR South Korea: Seoul; LK Sri Lanka: Sri Jayawardenepura Kotte; SY Syria: Damascus
        TJ Tajikistan: Dushanbe; TH Thailand: Bangkok; TL Timor-Leste: Dili; TR Turkey: Ankara
        TM Turkmenistan: Ashgabat; AE United Arab Emirates: Abu Dhabi; UZ Uzbekistan: Tashkent; VN Vietnam: Hanoi
        YE Yemen: Sanaa
    """,
    "Europe": """
        AL Albania: Tirana; AD Andorra: Andorra la Vella; AT Austria: Vienna; BY Belarus: Minsk; BE Belgium: Brussels
        BA Bosnia and Herzegovina: Sarajevo; BG Bulgaria: Sofia; HR Croatia: Zagreb; CZ Czechia: Prague
        DK Denmark: Copenhagen; EE Estonia: Tallinn; FI Finland: Helsinki; FR France: Paris; DE Germany: Berlin
        GR Greece: Athens; HU Hungary: Budapest; IS Iceland: Reykjavik; IE Ireland: Dublin; IT Italy: Rome
        LV Latvia: Riga; LI Liechtenstein: Vaduz; LT Lithuania: Vilnius; LU Luxembourg: Luxembourg City
        MT Malta: Valletta; MD Moldova: Chișinău; MC Monaco: Monaco; ME Montenegro: Podgorica
        NL Netherlands: Amsterdam; MK North Macedonia: Skopje; NO Norway: Oslo; PL Poland: Warsaw; PT Portugal: Lisbon
        RO Romania: Bucharest; RU Russia: Moscow; SM San Marino: City of San Marino; RS Serbia: Belgrade
        SK Slovakia: Bratislava; SI Slovenia: Ljubljana; ES Spain: Madrid; SE Sweden: Stockholm; CH Switzerland: Bern
        UA Ukraine: Kyiv; GB United Kingdom: London; VA Vatican City: Vatican City
    """,
    "North America": """
        AG Antigua and Barbuda: St. John's; BS Bahamas: Nassau; BB Barbados: Bridgetown; BZ Belize: Belmopan
        CA Canada: Ottawa; CR Costa Rica: San José; CU Cuba: Havana; DM Dominica: Roseau
        DO Dominican Republic: Santo Domingo; SV El Salvador: San Salvador; GD Grenada: St. George's
        GT Guatemala: Guatemala City; HT Haiti: Port-au-Prince; HN Honduras: Tegucigalpa; JM Jamaica: Kingston
        MX Mexico: Mexico City; NI Nicaragua: Managua; PA Panama: Panama City; KN Saint Kitts and Nevis: Basseterre
        LC Saint Lucia: Castries; VC Saint Vincent and the Grenadines: Kingstown
        TT Trinidad and Tobago: Port of Spain; US United States: Washington, D.C.
    """,
    "Oceania": """
        AU Australia: Canberra; FJ Fiji: Suva; KI Kiribati: South Tarawa; MH Marshall Islands: Majuro
        FM Micronesia: Palikir; NR Nauru: Yaren; NZ New Zealand: Wellington; PW Palau: Ngerulmud
        PG Papua New Guinea: Port Moresby; WS Samoa: Apia; SB Solomon Islands: Honiara; TO Tonga: Nuku'alofa
        TV Tuvalu: Funafuti; VU Vanuatu: Port Vila
    """,
    "South America": """
        AR Argentina: Buenos Aires; BO Bolivia: Sucre; BR Brazil: Brasília; CL Chile: Santiago; CO Colombia: Bogotá
        EC Ecuador: Quito; GY Guyana: Georgetown; PY Paraguay: Asunción; PE Peru: Lima; SR Suriname: Paramaribo
        UY Uruguay: Montevideo; VE Venezuela: Caracas
    """,
}

REGION_LINES = """
    Alabama: Montgomery; Alaska: Juneau; Arizona: Phoenix; Arkansas: Little Rock; California: Sacramento
    Colorado: Denver; Connecticut: Hartford; Delaware: Dover; Florida: Tallahassee; the US state of Georgia: Atlanta
    Hawaii: Honolulu; Idaho: Boise; Illinois: Springfield; Indiana: Indianapolis; Iowa: Des Moines; Kansas: Topeka
    Kentucky: Frankfort; Louisiana: Baton Rouge; Maine: Augusta; Maryland: Annapolis; Massachusetts: Boston
    Michigan: Lansing; Minnesota: Saint Paul; Mississippi: Jackson; Missouri: Jefferson City; Montana: Helena
    Nebraska: Lincoln; Nevada: Carson City; New Hampshire: Concord; New Jersey: Trenton; New Mexico: Santa Fe
    New York State: Albany; North Carolina: Raleigh; North Dakota: Bismarck; Ohio: Columbus; Oklahoma: Oklahoma City
    Oregon: Salem; Pennsylvania: Harrisburg; Rhode Island: Providence; South Carolina: Columbia; South Dakota: Pierre
    Tennessee: Nashville; Texas: Austin; Utah: Salt Lake City; Vermont: Montpelier; Virginia: Richmond
    Washington State: Olympia; West Virginia: Charleston; Wisconsin: Madison; Wyoming: Cheyenne
    Alberta: Edmonton; British Columbia: Victoria; Manitoba: Winnipeg; New Brunswick: Fredericton
    Newfoundland and Labrador: St. John's; Nova Scotia: Halifax; Ontario: Toronto; Prince Edward Island: Charlottetown
    Saskatchewan: Regina; Yukon: Whitehorse; New South Wales: Sydney; Queensland: Brisbane; South Australia: Adelaide
    Tasmania: Hobart; the Australian state of Victoria: Melbourne; Western Australia: Perth; Bavaria: Munich
    Saxony: Dresden; Hesse: Wiesbaden; Thuringia: Erfurt; Brandenburg: Potsdam; Lower Saxony: Hanover
    Saarland: Saarbrücken; Scotland: Edinburgh; Wales: Cardiff; Northern Ireland: Belfast; Catalonia: Barcelona
    Andalusia: Seville; Galicia: Santiago de Compostela; Sicily: Palermo; Sardinia: Cagliari; Tuscany: Florence
    Lombardy: Milan; Kerala: Thiruvananthapuram; Bihar: Patna; Odisha: Bhubaneswar; Rajasthan: Jaipur; Goa: Panaji
    Greenland: Nuuk; the Faroe Islands: Tórshavn; Bermuda: Hamilton; Puerto Rico: San Juan; Aruba: Oranjestad
    New Caledonia: Nouméa; French Polynesia: Papeete; the Cayman Islands: George Town; the Falkland Islands: Stanley
    the Isle of Man: Douglas; Jersey: Saint Helier; Guam: Hagåtña
"""

# these take the article inside a sentence: "the capital of the Netherlands"
WITH_ARTICLE = frozenset(words("AE BS CD CF CG DO GB GM KM MH MV NL PH SB SC US"))


def _entries(lines: str) -> list[tuple[str, str]]:
    entries = [entry for line in lines.strip().splitlines() for entry in line.split(";")]
    pairs = [entry.strip().split(": ") for entry in entries]
    return [(place, capital) for place, capital in pairs]


def countries() -> list[Country]:
    """Every country of the table, by continent and name."""
    found = []
    for continent, lines in COUNTRY_LINES.items():
        for place, capital in _entries(lines):
            code, _, name = place.partition(" ")
            article = "the " if code in WITH_ARTICLE else ""
            found.append(Country(code, article + name, capital, continent))
    return found


def regions() -> list[tuple[str, str]]:
    """(name, capital) of states, provinces and dependent territories."""
    return _entries(REGION_LINES)
